"""Makes README.md from nbs/index.ipynb, with pictures in nbs/images/ (nbdev_readme does the same, but needs Quarto).

    python tools/readme.py            write README.md
    python tools/readme.py --check    write nothing; exit 1 if README.md is not what the notebook makes
"""
import argparse, json, re, sys
from base64 import b64decode
from configparser import ConfigParser
from pathlib import Path

kinds = {'image/gif': 'gif', 'image/png': 'png', 'image/jpeg': 'jpg'}   # the first that an output has is taken
warning = '<!-- Made from nbs/{name} by tools/readme.py: change it there -->'

def text(s):
    "Notebooks store text as a string or as a list of lines"
    return s if isinstance(s, str) else ''.join(s)

def directives(source):
    "The `#|` lines at the start of a cell as a dict, and the rest of it"
    found, lines = {}, source.split('\n')
    while lines and (m := re.match(r'#\|\s*([\w-]+)\s*:?\s*(.*)', lines[0])):
        found[m[1]] = m[2].strip()
        lines.pop(0)
    return found, '\n'.join(lines).strip('\n')

def indented(s):
    "Plain text as a block, as it stood on the screen"
    s = re.sub(r'\x1b\[[0-9;]*[A-Za-z]', '', s)                              # colours
    s = '\n'.join(l.rstrip('\r').rsplit('\r', 1)[-1] for l in s.split('\n')) # a progress bar writes over itself
    return '\n'.join(f'    {l}'.rstrip() for l in s.strip('\n').split('\n')) if s.strip() else ''

def fenced(source, lang):
    "Code between fences longer than any within it"
    fence = '`'*max(3, 1+max(map(len, re.findall('`+', source)), default=0))
    return f'{fence}{lang}\n{source}\n{fence}'

def relink(md, folder):
    "Markdown of a notebook in `folder`, its relative links seen from the folder above"
    def one(m):
        target = m[2]
        if re.match(r'[a-z][a-z0-9+.-]*:|#|/', target, re.I): return m[0]
        return m[1] + (target[3:] if target.startswith('../') else f'{folder}/{target}')
    parts = re.split(r'(^```.*?^```[^\n]*$)', md, flags=re.M|re.S)           # what stands in a fence is left alone
    return ''.join(p if i%2 else re.sub(r'(\]\(<?)([^)\s>]+)', one, p) for i, p in enumerate(parts))

class Readme:
    "Text and pictures of a README"
    def __init__(self, nb):
        self.nb, self.folder, self.images = nb, nb.parent.name, {}
        cells = json.loads(nb.read_text(encoding='utf-8'))['cells']
        blocks = [b for c in cells for b in self.cell(c) if b.strip()]
        self.text = self.head(blocks) + '\n'

    def head(self, blocks):
        "Title and description come from the first cell, else from settings.ini"
        if not (blocks and blocks[0].startswith('# ')):
            ini = ConfigParser(delimiters=['=']); ini.read(self.nb.parent.parent/'settings.ini', encoding='utf-8')
            blocks = [f"# {ini['DEFAULT']['title']}\n\n> {ini['DEFAULT']['description']}", *blocks]
        title, _, rest = blocks[0].partition('\n')
        made = title, warning.format(name=self.nb.name), rest, *blocks[1:]
        return '\n\n'.join(b.strip('\n') for b in made if b.strip())

    def cell(self, c):
        "The blocks of one cell"
        source = text(c['source'])
        if c['cell_type']=='markdown': yield relink(directives(source)[1], self.folder); return
        if c['cell_type']!='code': return
        d, source = directives(source)
        off = {k for k, v in d.items() if v.lower()=='false'}
        if 'hide' in d or 'include' in off: return
        if source and not ({'echo'} & off or 'hide_input' in d): yield fenced(source, 'python')
        if 'output' in off or 'hide_output' in d: return
        for o in c.get('outputs', []): yield self.output(o, d)

    def output(self, o, d):
        "One output: a picture, markdown or plain text; raw HTML, widgets and stderr (progress bars) are left out"
        if o['output_type']=='error':
            sys.exit(f"{self.nb.name} holds an error ({o['ename']}: {o['evalue']}): mend the cell and run it again")
        if o['output_type']=='stream': return indented(text(o['text'])) if o['name']=='stdout' else ''
        data = o.get('data', {})
        for kind, ext in kinds.items():
            if kind in data: return self.picture(b64decode(text(data[kind])), ext, d)
        if 'application/vnd.jupyter.widget-view+json' in data: return ''
        if 'text/markdown' in data: return relink(text(data['text/markdown']), self.folder)
        plain = text(data.get('text/plain', ''))
        return '' if plain.startswith('<IPython.core.display.') else indented(plain)

    def picture(self, data, ext, d):
        "Keep a picture for nbs/images/; the link to it"
        path = f'{self.folder}/images/readme_{len(self.images)+1}.{ext}'
        self.images[path] = data
        alt = (d.get('fig-alt') or d.get('fig-cap') or 'what the cell above shows').strip('"\'')
        return f'![{alt}]({path})'

def differences(root, readme):
    "What on disk is not as the notebook makes it"
    old = root/'README.md'
    if not old.exists() or old.read_text(encoding='utf-8')!=readme.text: yield 'README.md'
    for path, data in readme.images.items():
        if not (root/path).exists() or (root/path).read_bytes()!=data: yield path
    yield from stale(root, readme)

def stale(root, readme):
    "Pictures of an older README"
    found = (root/readme.folder/'images').glob('readme_*.*')
    return [p for p in sorted(f.relative_to(root).as_posix() for f in found) if p not in readme.images]

def main():
    p = argparse.ArgumentParser(description="README.md from nbs/index.ipynb")
    p.add_argument('--check', action='store_true',
        help="write nothing; exit 1 if README.md or one of its pictures differs")
    p.add_argument('--root', type=Path, default=Path(__file__).resolve().parent.parent,
        help="folder that README.md goes to")
    p.add_argument('--nb', default='nbs/index.ipynb', help="notebook, from there")
    a = p.parse_args()
    readme = Readme(a.root/a.nb)
    diff = list(differences(a.root, readme))
    if a.check:
        if diff: sys.exit(f"not as {a.nb} makes it: {', '.join(diff)}; run python tools/readme.py")
        return
    for path in stale(a.root, readme): (a.root/path).unlink()
    for path, data in readme.images.items():
        (a.root/path).parent.mkdir(parents=True, exist_ok=True)
        (a.root/path).write_bytes(data)
    with open(a.root/'README.md', 'w', encoding='utf-8', newline='\n') as f: f.write(readme.text)
    changed = f"{', '.join(diff)} changed" if diff else 'nothing changed'
    print(f"README.md, {len(readme.images)} pictures ({changed})")

if __name__=='__main__': main()
