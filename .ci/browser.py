"""The widgets in a real browser: JupyterLab and Notebook 7, driven by playwright with Debian's Chromium.

    python .ci/browser.py [--out FOLDER] [--only NAME] [--front lab|notebook]

Screenshots go to FOLDER (default .ci/screenshots, which git ignores). Exit code 1 if anything is not as it must be.
"""
import argparse, contextlib, json, os, shutil, socket, subprocess, sys, tempfile, time, traceback, urllib.request
from pathlib import Path
import nbformat
from playwright.sync_api import sync_playwright

root = Path(__file__).resolve().parent.parent
quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

def chromium():
    "A Chromium: Debian's, or the one that playwright brought"
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if path := shutil.which(name): return path
    return None

@contextlib.contextmanager
def browser():
    "A browser that asks nobody for updates"
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium(), args=quiet)
        try: yield b
        finally: b.close()

@contextlib.contextmanager
def jupyter(folder):
    "A Jupyter server of its own settings, on a free port; gives its address"
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    own = Path(tempfile.mkdtemp())
    env = os.environ | {k: str(own/k) for k in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR')} | dict(OMP_NUM_THREADS='1', PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    cmd = [sys.executable, '-m', 'jupyterlab', '--allow-root', '--no-browser', '--ip=127.0.0.1', f'--port={port}', "--IdentityProvider.token=", '--ServerApp.disable_check_xsrf=True', '--LabApp.extension_manager=readonly', '--LabApp.news_url=None', f'--ServerApp.root_dir={folder}']
    with open(own/'log', 'w') as log: server = subprocess.Popen(cmd, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(240):
            if server.poll() is not None: raise RuntimeError((own/'log').read_text()[-2000:])
            try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api/status'); break
            except OSError: time.sleep(.25)
        else: raise RuntimeError('Jupyter does not answer\n' + (own/'log').read_text()[-2000:])
        yield f'http://127.0.0.1:{port}'
    finally:
        server.terminate()
        try: server.wait(10)
        except subprocess.TimeoutExpired: server.kill()
        shutil.rmtree(own, ignore_errors=True)

def notebook(path, cells):
    "Write a notebook of code cells; the last one says that all ran"
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in [*cells, "print('ALL'+'DONE')"]], metadata=dict(kernelspec=dict(name='python3', display_name='Python 3', language='python')))
    nbformat.write(nb, path)

class Tab:
    "A notebook that is open in a front end"
    def __init__(self, b, address, front, out, errors):
        self.page, self.address, self.front, self.out, self.errors = b.new_page(viewport=dict(width=1280, height=1500)), address, front, out, errors
        self.page.on('console', lambda m: self.heard(m.text) if m.type=='error' else None)
        self.page.on('pageerror', lambda e: self.heard(str(e)))
    known = ('Failed to load resource', 'favicon', 'shared module', 'filebrowser:open-path', 'ResizeObserver loop', '403', '404')    # the front ends' own
    def heard(self, text):
        if not any(k in text for k in self.known): self.errors.append(text[:300])
    def run_all(self, name, seconds=120):
        "Open a notebook, run every cell, wait for the last"
        page = self.page
        page.goto(f"{self.address}/lab/tree/{name}?reset" if self.front=='lab' else f"{self.address}/notebooks/{name}")
        page.wait_for_selector('.jp-Notebook .jp-Cell', timeout=60000)
        page.wait_for_function("() => [...document.querySelectorAll('.jp-NotebookPanel-toolbar, .jp-Toolbar')].some(e => /Python 3/.test(e.innerText))", timeout=60000)
        page.wait_for_timeout(1500)
        page.get_by_role('menuitem', name='Run', exact=True).click()
        page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
        page.wait_for_function("() => [...document.querySelectorAll('.jp-OutputArea-output')].some(e => /ALLDONE/.test(e.textContent) || /Traceback/.test(e.textContent))", timeout=1000*seconds)
        bad = page.locator('.jp-OutputArea-output', has_text='Traceback')
        if bad.count(): raise AssertionError(f'{name}: {bad.first.inner_text()[-1500:]}')
    def shot(self, what): self.page.screenshot(path=str(self.out/f'{self.front}_{what}.png'))
    def until(self, js, what, seconds=20, arg=None):
        "Wait until an expression holds in the page"
        try: return self.page.wait_for_function(js, arg=arg, timeout=1000*seconds).json_value()
        except Exception as e: self.shot('failed'); raise AssertionError(f'{what}: not within {seconds} s') from e

def film(tab, i=0):
    "A film that is loaded whole"
    f = tab.page.locator('.film').nth(i)
    f.wait_for(timeout=60000)
    f.scroll_into_view_if_needed()
    tab.until("i => { const f = document.querySelectorAll('.film')[i]; return f && f.dataset.frame !== undefined && +f.dataset.loaded === +f.querySelector('input.frame').max + 1 }", 'all frames are in the browser', 60, i)
    return f

def pixels(f):
    "The canvas of a film, as numbers"
    return f.locator('canvas.stage').evaluate("c => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let s = 0; for (let i = 0; i < d.length; i += 4) s = (s*31 + d[i]*65536 + d[i+1]*256 + d[i+2]) % 2147483647; return s }")

def colour_count(f, col):
    "How many pixels of the canvas have exactly this colour (borders of masks do)"
    return f.locator('canvas.stage').evaluate("(c, [r, g, b]) => { const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] === r && d[i+1] === g && d[i+2] === b; return n }", list(col))
