"""Builds the docs site into _docs/ with pip-only tools (nbdev and smalldocs; Quarto is not needed).

    python tools/site.py            build it
    python tools/site.py --check    build it, and exit 1 on a broken link, an address outside the site that a page
                                    would load, a link inside code, or a public name without a page

With Quarto installed, plain `nbdev_docs` makes the site too, from the same notebooks and the same _quarto.yml.
"""
import argparse, html, json, re, shutil, subprocess, sys
from configparser import ConfigParser
from pathlib import Path
import yaml
from fastcore.basics import nested_idx

root = Path(__file__).resolve().parent.parent
ini = ConfigParser(delimiters=['='])
ini.read(root/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
staged, docs = root/'_site_src', root/cfg['doc_path']

def text(s): return s if isinstance(s, str) else ''.join(s)

def processed():
    "Notebooks as nbdev hands them to Quarto, in _proc/"
    from nbdev.serve import proc_nbs
    shutil.rmtree(root/'_proc', ignore_errors=True)
    proc_nbs(n_workers=0, force=True)
    return root/'_proc'

def page_name(path):
    "A notebook's name on the site: what its front matter says, as nbdev chose it (14_data.clips is clips)"
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    m = cells and re.search(r'^output-file:\s*(\S+)\.html', text(cells[0]['source']), re.M)
    return (m[1] if m else path.stem) + '.ipynb'

class Stage:
    "A copy of the processed notebooks under the names that they have on the site"
    def __init__(self, proc):
        shutil.rmtree(staged, ignore_errors=True)
        shutil.copytree(proc, staged)
        pages = {p.relative_to(proc): page_name(p) for p in proc.rglob('*.ipynb')}
        self.names = {p.as_posix(): p.with_name(name).as_posix() for p, name in pages.items()}
        self.base = cfg['doc_host'] + cfg['doc_baseurl']
        for old, new in self.names.items():
            nb = json.loads((staged/old).read_text(encoding='utf-8'))
            (staged/old).unlink()
            (staged/new).write_text(json.dumps(self.notebook(nb, Path(old))), encoding='utf-8')
        (staged/'CHANGELOG.md').write_text((root/'CHANGELOG.md').read_text(encoding='utf-8'), encoding='utf-8')
        self.config()

    def notebook(self, nb, path):
        nb['metadata'].pop('widgets', None)
        for c in nb['cells']:
            if c['cell_type']=='raw': c['source'] = re.sub(r'^output-file:.*\n', '', text(c['source']), flags=re.M)
            c['source'] = self.relink(text(c['source']), path) if c['cell_type']=='markdown' else text(c['source'])
            for o in c.get('outputs', []):
                for kind in ('text/markdown', 'text/html'):
                    if kind in o.get('data', {}): o['data'][kind] = self.relink(text(o['data'][kind]), path)
        return nb

    def relink(self, s, path):
        "Links to our own pages as smalldocs follows and checks them"
        s = s.replace(self.base + '/', '/')
        def one(m):
            at = (path.parent/m[2]).as_posix()
            at = Path(re.sub(r'[^/]+/\.\./', '', at)).as_posix()
            return m[1] + '/' + self.names[at] + (m[3] or '') if at in self.names else m[0]
        return re.sub(r'(\]\()([\w./-]+\.ipynb)(#[\w-]+)?(?=\))', one, s)

    def config(self):
        q = yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8'))
        def renamed(o):
            if isinstance(o, dict): return {k: renamed(v) for k, v in o.items()}
            if isinstance(o, list): return [renamed(v) for v in o]
            return self.names.get(o, o) if isinstance(o, str) else o
        q = renamed(q)
        q.pop('metadata-files', None)
        html = q['format']['html']
        html['theme']['dark'] = html['theme']['dark'][0]   # smalldocs compiles no Sass; styles.css has the colours too
        html.pop('respect-user-color-scheme')              # it always does
        q['project']['output-dir'] = '../'+cfg['doc_path']
        q['website'].update(title=cfg['title'], description=cfg['description'], **{'repo-url': cfg['git_url']})
        (staged/'_quarto.yml').write_text(yaml.safe_dump(q, sort_keys=False), encoding='utf-8')

def mathml(page):
    "Formulas as MathML, which browsers draw by themselves"
    from latex2mathml.converter import convert
    def one(m):
        tex = html.unescape(m[2]).strip()
        tex = re.sub(r'^\\[(\[]|\\[)\]]$|^\$+|\$+$', '', tex).strip()
        try: return convert(tex, display='block' if 'display' in m[1] else 'inline')
        except Exception as e: sys.exit(f'a formula that cannot be drawn: {tex} ({e})')
    return re.sub(r'<span class="(math [^"]*)">(.*?)</span>', one, page, flags=re.S)

def finished():
    "What smalldocs leaves open: formulas, an icon, nothing from a CDN"
    for p in docs.rglob('*.html'):
        s = mathml(p.read_text(encoding='utf-8'))
        s = re.sub(r'<(?:script|link)\b[^>]*(?:src|href)="https?://[^"]*(?:katex|mathjax)[^"]*"[^>]*>(?:</script>)?',
            '', s)
        s = s.replace('</head>', '<link rel="icon" href="data:,"></head>', 1)
        p.write_text(s, encoding='utf-8')

# what a browser fetches by itself; a link that one follows is another matter
fetched = re.compile(r'''<(?:script|img|iframe|source|video|audio)\b[^>]*\bsrc="(https?:)?//[^"]*"
    |<link\b(?![^>]*rel="(?:canonical|alternate)")[^>]*\bhref="(https?:)?//[^"]*"
    |@import\s+url\(["\']?https?:''', re.X)
fetched_by_css = re.compile(r'''(?:@import\s+(?:url\()?|url\()["\']?https?://[^"\')]*''')

def loads_from_outside():
    "(page, address) of what a page would fetch from elsewhere"
    for p in sorted(docs.rglob('*.html')):
        s = re.sub(r'data:[^"\')]*', '', p.read_text(encoding='utf-8'))
        for m in fetched.finditer(s): yield p.relative_to(docs).as_posix(), m[0][:160]
    for p in docs.rglob('*.css'):
        for m in fetched_by_css.finditer(p.read_text(encoding='utf-8', errors='replace')):
            yield p.relative_to(docs).as_posix(), m[0][:160]

def links_in_code():
    "(page, text) of Markdown links that stand as typed inside code"
    for p in sorted(docs.rglob('*.html')):
        for m in re.finditer(r'<pre\b[^>]*>(.*?)</pre>', p.read_text(encoding='utf-8'), re.S):
            shown = html.unescape(re.sub(r'<[^>]+>', '', m[1]))
            for link in re.findall(r'\[`[^`\n]+`\]\([^)\n]*\)', shown): yield p.relative_to(docs).as_posix(), link

def undocumented():
    "Public names that have no heading on any page"
    pages = ''.join(p.read_text(encoding='utf-8') for p in docs.glob('*.html'))
    ids = set(re.findall(r'\bid="([^"]+)"', pages))
    for p in sorted((root/'sam2_video_nb').rglob('*.py')):
        source = p.read_text(encoding='utf-8')
        m = re.search(r'^__all__ = \[(.*?)\]', source, re.M|re.S)
        for name in re.findall(r"'(\w+)'", m[1]) if m else ():
            defined = re.search(rf'^(?:def|class) {name}\b', source, re.M)
            if defined and not {name, name.lower()} & ids: yield f'{p.stem}.{name}'

def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument('--check', action='store_true',
        help="exit 1 on a broken link, an address outside, a link inside code, or a public name without a page")
    a = a.parse_args()
    shutil.rmtree(docs, ignore_errors=True)
    Stage(processed())
    smalldocs = [str(Path(sys.executable).with_name('smalldocs'))]
    subprocess.run([*smalldocs, 'render', '-q', str(staged)], check=True)
    finished()
    print(f"{len(list(docs.rglob('*.html')))} pages in {docs.relative_to(root)}/")
    if not a.check: return
    broken = subprocess.run([*smalldocs, 'check', str(staged)], capture_output=True, text=True)
    outside, raw, bare = list(loads_from_outside()), list(links_in_code()), list(undocumented())
    if broken.returncode: print(broken.stdout[-3000:], broken.stderr[-1000:])
    for o in outside: print('from outside:', *o)
    for o in raw: print('a link as typed, in code:', *o)
    for o in bare: print('no page:', o)
    sys.exit(bool(broken.returncode or outside or raw or bare))

if __name__=='__main__': main()
