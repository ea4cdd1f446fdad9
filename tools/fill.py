"""Runs notebooks and saves their outputs: python tools/fill.py nbs/14_data.clips.ipynb …   (then nbdev_clean)

As nbdev_test does, it leaves out cells marked cuda, slow or eval: false. Widget state is not saved:
pages cannot show it, and nbdev cannot read all of it.
"""
import os, re, sys
from pathlib import Path

def one_picture(data):
    "Jupyter saves a PIL picture as PNG and as JPEG: keep the smaller"
    both = sorted((k for k in ('image/png', 'image/jpeg') if k in data), key=lambda k: len(data[k]))
    for k in both[1:]: del data[k]

def without_bars(outputs):
    "Outputs without progress bars; joined streams have them as lines of their own, beside what was said"
    def is_bar(line): return '\r' in line or re.search(r'\d+%\|.*\| *\d+/\d+ \[', line)
    for o in outputs:
        if o.get('name')=='stderr':
            o['text'] = ''.join(l for l in o['text'].splitlines(True) if l.strip() and not is_bar(l))
    return [o for o in outputs if o.get('name')!='stderr' or o['text']]

def still(outputs):
    "A widget needs a kernel: a panel's still face is kept, and the widget that follows it not"
    view = 'application/vnd.jupyter.widget-view+json'
    for o in outputs:
        data = o.get('data', {})
        if 'text/html' in data: data.pop(view, None)
    return [o for o in outputs if list(o.get('data', {}))!=[view]]

def fill(path):
    "Run one notebook in its own folder, and save it"
    import nbformat
    from nbclient import NotebookClient
    nb = nbformat.read(path, 4)
    flagged = re.compile(r'^#\|\s*(cuda|slow|notest|eval:\s*false)', re.M)
    left_out = [c for c in nb.cells if c.cell_type=='code' and flagged.search(c.source)]
    sources = [c.source for c in left_out]
    for c in left_out: c.source = ''
    here = dict(metadata=dict(path=str(path.parent)))
    NotebookClient(nb, timeout=900, kernel_name='python3', store_widget_state=False, coalesce_streams=True,
        resources=here).execute()     # streams joined: what was printed in one cell is one output, whatever the timing
    for c, s in zip(left_out, sources): c.source = s
    nb.metadata.pop('widgets', None)
    for c in nb.cells:
        c.metadata.pop('execution', None)
        if c.cell_type!='code': continue
        c.outputs = still(without_bars(c.outputs))
        for o in c.outputs: one_picture(o.get('data', {}))
    nbformat.write(nb, path)

if __name__=='__main__':
    if not sys.argv[1:]: sys.exit(__doc__)
    os.environ['PATH'] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"   # the kernel is this Python
    for p in map(Path, sys.argv[1:]):
        fill(p.absolute())
        print(f'{p}: {p.stat().st_size//1024} KB')
