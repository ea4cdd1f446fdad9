"""Measures what the widgets promise, in a real browser: scrubbing and playing, and from a click to its mask.

    python tools/measure.py [--notebooks]

with --notebooks also the seconds that each notebook takes from top to bottom

Figures are printed as rows of a table; nothing is asserted, since machines differ.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time, urllib.request
from pathlib import Path
sys.path.insert(0, str(Path(__file__).resolve().parent.parent/".ci"))     # what drives the browser
from browser import Tab, browser, click, emptied, film, jupyter, notebook, root

cells = ["""from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.panels.browse import browse
train, val = write_synth('data', videos=2, frames=60, size=512)
browse(train)""", """from sam2_video_nb.panels.annotator import annotate
from sam2_video_nb.data.coco import CocoVideo
from sam2_video_nb.model.sam2 import SAM2VideoModel, build_sam2, livelier
from sam2_video_nb.data.synth import write_synth
train, val = write_synth('small', videos=2, frames=20, size=128)
coco = CocoVideo(train)
annotate((coco, coco.videos[0]), SAM2VideoModel(livelier(build_sam2('nano', 128))), 'mine.json')"""]

def scrubbed(f, seconds=3):
    "Frames painted a second while the slider is dragged to and fro as fast as the screen asks"
    return f.evaluate("""async (e, s) => {
        const r = e.querySelector('input.frame'), n = +r.max+1, p0 = +e.dataset.paints, t0 = performance.now()
        let i = 0
        await new Promise(done => {
            const step = () => {
                if (performance.now()-t0 > s*1000) return done()
                const k = i++ % (2*n-2)
                r.value = k < n ? k : 2*n-2-k
                r.dispatchEvent(new Event('input'))
                requestAnimationFrame(step)
            }
            step()
        })
        return (e.dataset.paints-p0)/(performance.now()-t0)*1000 }""", seconds)

def played(f, page, seconds=3):
    "Frames painted a second when 60 are asked for"
    f.locator('input.speed').fill('60')
    f.locator('button.play').click()
    n, t = int(f.get_attribute('data-paints')), time.time()
    page.wait_for_timeout(1000*seconds)
    out = (int(f.get_attribute('data-paints'))-n)/(time.time()-t)
    f.locator('button.play').click()
    return out

def first_click(tab, f):
    "Milliseconds from a click to its mask on the next frame, which nobody clicked on yet"
    f.press('ArrowRight')
    tab.page.wait_for_timeout(500)
    return click(tab, f, .3, .3)

def widgets():
    "Print the table of speeds in both front ends"
    out = Path(tempfile.mkdtemp())
    print('| | JupyterLab | Notebook 7 |\n|---|---|---|')
    rows = {}
    def note(what, figure): rows.setdefault(what, []).append(figure)
    with browser() as b:
        for front in ('lab', 'notebook'):
            folder = Path(tempfile.mkdtemp())
            notebook(folder/'browse.ipynb', cells[:1])
            notebook(folder/'annotate.ipynb', cells[1:])
            with jupyter(folder) as at:
                tab = Tab(b, at, front, out, [])
                tab.run_all('browse.ipynb')
                f = film(tab)
                note('scrubbing 60 frames of 512 px for the first time, frames a second', f'{scrubbed(f, 1):.0f}')
                scrubbed(f, 2)       # by now all is decoded
                median = statistics.median(scrubbed(f) for _ in range(5))
                note('scrubbing 60 frames of 512 px, frames a second (median of 5)', f'{median:.0f}')
                note('playing them at 60 a second, frames a second', f'{played(f, tab.page):.0f}')
                tab.run_all('annotate.ipynb')
                f = film(tab)
                click(tab, f, .5, .5)
                same = sorted(click(tab, f, .2+.03*i, .4) for i in range(15))
                new = sorted(first_click(tab, f) for _ in range(12))
                def both(ms): return f'{statistics.median(ms):.0f} / {ms[int(.9*len(ms))]:.0f}'
                which = 'click to mask, nano at 128 px, ms (median / 90 %)'
                note(f'{which}, on a frame that was clicked on before', both(same))
                note(f'{which}, first click on a frame', both(new))
                tab.page.close()
    for k, v in rows.items(): print(f'| {k} | ' + ' | '.join(v) + ' |')

def end_kernels(at):
    "A notebook that is closed keeps its kernel, and its memory"
    for o in json.loads(urllib.request.urlopen(f'{at}/api/sessions').read()):
        urllib.request.urlopen(urllib.request.Request(f"{at}/api/sessions/{o['id']}", method='DELETE'))

def notebooks():
    "Seconds of each notebook of the last commit in JupyterLab: opened, all its cells run, its kernel's start included"
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp)
        subprocess.run(['git', 'clone', '-q', str(root), str(folder/'main')], check=True)
        if (root.parent/'shared').is_dir(): (folder/'shared').symlink_to(root.parent/'shared')
        nbs = folder/'main/nbs'
        with browser() as b, jupyter(nbs, os.cpu_count()) as at:
            for p in sorted(nbs.rglob('*.ipynb')):
                emptied(p, p)
                errors, how, start = [], '', time.time()
                tab = Tab(b, at, 'lab', folder, errors)
                try: tab.run_all(p.relative_to(nbs).as_posix(), 300)
                except Exception as e: how = f'FAILED: {str(e)[-300:]}'
                print(f'{time.time()-start:5.0f} s  {p.relative_to(nbs)}  {how}{errors or ""}', flush=True)
                tab.page.close()
                end_kernels(at)

if __name__=='__main__':
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument('--notebooks', action='store_true')
    if a.parse_args().notebooks: notebooks()
    else: widgets()
