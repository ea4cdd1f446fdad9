"""The widgets in a real browser: JupyterLab and Notebook 7, driven by playwright with Debian's Chromium.

    python .ci/browser.py [--out FOLDER] [--only NAME] [--front lab|notebook]

Screenshots go to FOLDER (default .ci/screenshots, which git ignores). Exit code 1 if anything is not as it must be.
"""
import argparse, contextlib, io, json, os, re, shutil, socket, subprocess, sys, tempfile, time, traceback, urllib.request
from pathlib import Path
import nbformat
import numpy as np
from PIL import Image
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
        b = p.chromium.launch(executable_path=chromium(), args=quiet, ignore_default_args=['--hide-scrollbars'])    # a bar that readers see is to be seen here
        try: yield b
        finally: b.close()

@contextlib.contextmanager
def jupyter(folder, threads=1, theme='JupyterLab Light'):
    "A Jupyter server of its own settings, on a free port; gives its address"
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    own = Path(tempfile.mkdtemp())
    chosen = own/'JUPYTER_CONFIG_DIR/lab/user-settings/@jupyterlab/apputils-extension'
    chosen.mkdir(parents=True)
    (chosen/'themes.jupyterlab-settings').write_text(json.dumps(dict(theme=theme)))
    (chosen/'notification.jupyterlab-settings').write_text(json.dumps(dict(fetchNews='false')))     # else it asks, over the page
    env = os.environ | {k: str(own/k) for k in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR')} | dict(OMP_NUM_THREADS=str(threads), PATH=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
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

def emptied(path, to):
    "Write a notebook of ours again without its outputs; the last cell says that all ran"
    nb = nbformat.read(path, 4)
    for c in nb.cells:
        if c.cell_type=='code': c.outputs = []
    nb.cells.append(nbformat.v4.new_code_cell("print('ALL'+'DONE')"))
    nbformat.write(nb, to)

class Tab:
    "A notebook that is open in a front end"
    def __init__(self, b, address, front, out, errors):
        self.page, self.address, self.front, self.out, self.errors = b.new_page(viewport=dict(width=1280, height=1500)), address, front, out, errors
        self.page.on('console', lambda m: self.heard(m.text) if m.type=='error' else None)
        self.page.on('pageerror', lambda e: self.heard(str(e)))
    known = ('Failed to load resource', "reading 'schema'", 'favicon', 'shared module', 'filebrowser:open-path', 'ResizeObserver loop', '403', '404', 'widget model not found')    # the front ends' own
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
        bad = page.locator('.jp-OutputArea-output', has_text=re.compile('Traceback'))    # a string would match in any case
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

def soon(f, what, seconds=5):
    "Wait until something that is looked at from here holds"
    end = time.time()+seconds
    while not f():
        assert time.time()<end, f'{what}: not within {seconds} s'
        time.sleep(.05)

# What the notebooks of these tests hold. They use the installed package, as a user's would.
browse_cells = ["""import json, tempfile
from pathlib import Path
import numpy as np
from sam2_video_nb.config import *
from sam2_video_nb.core import rle_encode
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.panels.browse import browse
train, val = write_synth('data', videos=4, frames=12, size=128)
d = json.loads(Path(train).read_text())
d['annotations'][40]['segmentation'] = rle_encode(np.zeros((128,128)))       # a problem for `check` to find
Path('data/bad.json').write_text(json.dumps(d))
browse('data/bad.json', prompts=PromptConf(prompt_type='box'))""", "browse('nowhere.json')"]

compare_cells = ["""from sam2_video_nb.model.sam2 import SAM2VideoModel, build_sam2, livelier
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.panels.compare import compare
train, val = write_synth('data', videos=4, frames=12, size=128)
compare(SAM2VideoModel(build_sam2('nano', 128, 0)), SAM2VideoModel(livelier(build_sam2('nano', 128, 0))), train)"""]

annotate_cells = ["""from sam2_video_nb.panels.annotator import annotate
from sam2_video_nb.data.coco import CocoVideo
from sam2_video_nb.model.sam2 import SAM2VideoModel, build_sam2, livelier
from sam2_video_nb.data.synth import write_synth
train, val = write_synth('data', videos=4, frames=12, size=128)
coco = CocoVideo(train)
panel = annotate((coco, coco.videos[0]), SAM2VideoModel(livelier(build_sam2('nano', 128))), 'mine.json')
panel"""]

live_cells = ["""from sam2_video_nb.config import load_cfg
from sam2_video_nb.panels.live import train_live, watch
cfg = load_cfg(['data.synth_videos=4', 'data.synth_frames=6', 'data.image_size=64', 'data.video_clip_length=3', 'trainer.max_epochs=500', 'trainer.check_val_every_n_epoch=500', 'trainer.log_every_n_steps=2', 'trainer.accelerator=cpu'])
run = train_live(cfg)
run""", "watch('nowhere')", "2+2"]

def test_browse(tab, folder):
    "Frames and masks are in the browser: playing, dragging, toggling and the timeline ask no kernel"
    notebook(folder/'browse.ipynb', browse_cells)
    tab.run_all('browse.ipynb')
    f, page = film(tab), tab.page
    tab.shot('browse')
    orange = (230, 159, 0)
    assert (n := colour_count(f, orange)) > 20, 'the first object has no border in its colour'
    f.press('1'); tab.until("() => document.querySelector('.film .chip').ariaPressed === 'false'", 'object 1 is off')
    soon(lambda: colour_count(f, orange)==0, 'an object that is off is not seen')
    f.press('1'); soon(lambda: colour_count(f, orange)==n, 'on again, it looks as before')
    f.locator('.chip', has_text='all star').first.click(); soon(lambda: colour_count(f, orange)==0, 'a category is off')
    f.press('0'); f.press('0'); page.wait_for_timeout(300)
    full = pixels(f); f.locator('input.opacity').fill('0'); soon(lambda: pixels(f)!=full, 'opacity changes the picture'); f.locator('input.opacity').fill('50')
    for key, at in (('ArrowRight', 1), ('Shift+ArrowRight', 11), ('Home', 0), ('End', 11)):
        f.press(key); tab.until("t => +document.querySelector('.film').dataset.frame === t", f'{key} goes to frame {at}', 5, at)
    f.locator('input.frame').fill('3'); tab.until("() => +document.querySelector('.film').dataset.frame === 3", 'the slider goes to its frame', 5)
    box = f.locator('canvas.timeline').bounding_box()
    page.mouse.click(box['x']+box['width']*7.5/12, box['y']+3); tab.until("() => +document.querySelector('.film').dataset.frame === 7", 'the timeline goes to its frame', 5)
    f.locator('input.speed').fill('30'); f.press('Home')
    f.locator('button.play').click(); before = int(f.get_attribute('data-paints')); page.wait_for_timeout(1500); seen = int(f.get_attribute('data-paints'))-before
    f.locator('button.play').click(); assert seen > 12, f'only {seen} frames in a second and a half'
    d = json.loads((folder/'data/bad.json').read_text())
    bad = next(i for i in d['images'] if i['id']==d['annotations'][40]['image_id'])
    video, t = list(dict.fromkeys(i['video_id'] for i in d['images'])).index(bad['video_id']), bad['order_in_video']
    assert (video, t)!=(0, int(f.get_attribute('data-frame'))), 'the click would go nowhere'
    f.locator('summary').click(); f.locator('.problems button').first.click()
    tab.until("([v, t]) => { const f = document.querySelector('.film'); return +f.dataset.frame === t && +f.querySelector('select').value === v }", 'a problem goes to its video and frame', 20, [video, t]); film(tab); tab.shot('browse_problem')
    f.locator('select').select_option('0'); tab.until("() => document.querySelector('.film select').value === '0'", 'the first video', 20); film(tab)
    f.locator('select').select_option('1'); tab.until("() => document.querySelector('.film select').value === '1'", 'the next video', 20); film(tab)
    page.locator('[title="next video"]').first.click(); tab.until("() => document.querySelector('.film select').value === '2'", 'the one after', 20); film(tab)
    assert page.get_by_role('alert').filter(has_text='no such file').count(), 'a file that is not there has no notice'
    tab.shot('browse_after')

def test_compare(tab, folder):
    "Four panes, curves, worst frames"
    notebook(folder/'compare.ipynb', compare_cells)
    tab.run_all('compare.ipynb')
    f = film(tab)
    assert f.locator('canvas.stage').evaluate("c => c.width") > 4*128, 'not four panes'
    labels = f.locator('select option').all_inner_texts()
    js = [float(l.split()[-1]) for l in labels]; assert js==sorted(js), f'not the worst first: {labels}'
    was = f.get_attribute('data-frame'); f.get_by_role('button', name='next worst frame').click(); tab.page.wait_for_timeout(300); assert f.get_attribute('data-frame')!=was
    tab.shot('compare')

def click(tab, f, x, y, **kw):
    "Click at a share of the picture; wait for the mask"
    box, n = f.locator('canvas.stage').bounding_box(), int(f.get_attribute('data-masks') or 0)
    if kw.get('shift'): tab.page.keyboard.down('Shift')
    tab.page.mouse.click(box['x']+box['width']*x, box['y']+box['height']*y, button=kw.get('button', 'left'))
    if kw.get('shift'): tab.page.keyboard.up('Shift')
    tab.until("n => +document.querySelector('.film').dataset.masks > n", 'the mask comes back', 20, n)
    return float(f.evaluate("e => e.dataset.answered - e.dataset.clicked"))

def zoomed(tab, f):
    "Where one clicks is where the mark is, enlarged and moved or not; the name of what is under the mouse"
    page, stage = tab.page, f.locator('canvas.stage')
    f.press('Home'); page.wait_for_timeout(300)
    high, box = page.viewport_size['height'], stage.bounding_box()
    assert box['height'] <= .61*high, f"the picture takes {box['height']} of {high} px"
    x, y = box['x']+box['width']*.3, box['y']+box['height']*.4
    page.mouse.move(x, y); page.mouse.wheel(0, -500)
    tab.until("() => +document.querySelector('.film').dataset.zoom > 2", 'the wheel enlarges', 5)
    page.keyboard.down('Alt'); page.mouse.down(); page.mouse.move(x-40, y-30, steps=4); page.mouse.up(); page.keyboard.up('Alt')
    click(tab, f, (x-40-box['x'])/box['width'], (y-30-box['y'])/box['height'])
    tab.shot('annotate_zoomed'); f.press('f')
    return .3*128, .4*128           # of a video of 128 pixels

def menu(tab, *names):
    for name in names: tab.page.get_by_role('menuitem', name=re.compile('^'+name)).first.click()

def reopened(tab, folder, name, f):
    "What was tracked and not confirmed comes back; a panel without its kernel says so; a saved notebook shows its still face"
    page = tab.page
    press = lambda name: page.get_by_role('button', name=name, exact=True).click()
    sought = zoomed(tab, f)
    press('Save draft'); tab.until("() => /draft.json/.test(document.querySelector('.film .status').textContent)", 'the draft is written')
    draft, = folder.glob('*.draft.json')
    clicked = [p for o in json.loads(draft.read_text())['objects'] for d in o['prompts'].values() for p in d.get('pts', [])]
    assert any(max(abs(u-v) for u, v in zip(p, sought)) < 1 for p in clicked), f'clicked at {sought}, marked at {clicked}'
    page.keyboard.press('Control+s'); page.wait_for_timeout(1500)
    for k in json.loads(urllib.request.urlopen(f'{tab.address}/api/kernels').read()):
        urllib.request.urlopen(urllib.request.Request(f"{tab.address}/api/kernels/{k['id']}/restart", method='POST'))
    press('Track'); tab.until("() => [...document.querySelectorAll('.gone')].some(e => !e.hidden && /kernel .* is gone/.test(e.textContent) && /draft/.test(e.textContent))", 'a panel without its kernel says so', 12)
    tab.shot('annotate_gone')
    page.goto('about:blank')
    page.goto(f"{tab.address}/lab/tree/{name}?reset" if tab.front=='lab' else f"{tab.address}/notebooks/{name}")
    page.wait_for_selector('.slides', timeout=60000)
    tab.until("() => [...document.querySelectorAll('.jp-OutputArea-output')].some(e => /model not found/.test(e.textContent))", 'the widget is looked for', 30)
    page.wait_for_timeout(500)
    assert page.locator('.slides').first.is_visible() and not page.get_by_text('model not found').first.is_visible(), 'the still face does not win'
    tab.shot('annotate_reopened')
    tab.run_all(name); film(tab)
    tab.until("() => /draft of .* is restored/.test(document.querySelector('.film .status').textContent)", 'the draft comes back', 20)
    assert not page.locator('.slides').first.is_visible(), 'the still face beside a living panel'

def test_annotate(tab, folder):
    "Click, correct, track, confirm, save"
    for old in (folder/'mine.json', *folder.glob('*.draft.json')): old.unlink(missing_ok=True)
    notebook(folder/'annotate.ipynb', annotate_cells)
    tab.run_all('annotate.ipynb')
    f, page = film(tab), tab.page
    said = lambda: f.locator('.status').inner_text()
    press = lambda name: page.get_by_role('button', name=name, exact=True).click()
    press('Track'); tab.until("() => /click on an object first/.test(document.querySelector('.film .status').textContent)", 'a readable message')
    empty = pixels(f)
    click(tab, f, .2, .3); soon(lambda: pixels(f)!=empty, 'a mask after a click'); page.wait_for_timeout(500); one = pixels(f)
    click(tab, f, .9, .9, shift=True); click(tab, f, .1, .9, button='right')
    assert f.locator('.chip').count()==1
    press('Undo'); page.wait_for_timeout(500); press('Undo'); soon(lambda: pixels(f)==one, 'undo gives back what was there')
    name = page.get_by_placeholder('name', exact=True); name.fill('disc'); name.press('Tab'); press('Add object'); tab.until("() => document.querySelectorAll('.film .chip').length >= 2", 'a second object')
    box = f.locator('canvas.stage').bounding_box(); n = int(f.get_attribute('data-masks'))
    page.mouse.move(box['x']+40, box['y']+50); page.mouse.down(); page.mouse.move(box['x']+200, box['y']+220, steps=8); tab.shot('annotate_drag'); page.mouse.up()
    tab.until("n => +document.querySelector('.film').dataset.masks > n", 'the mask of a box', 20, n)
    press('Track'); tab.until("() => /tracked/.test(document.querySelector('.film .status').textContent)", 'tracked', 60)
    tab.shot('annotate')
    f.press('End'); tab.until("() => +document.querySelector('.film').dataset.frame === 11", 'the last frame', 5); page.wait_for_timeout(400)
    f.press('Home'); [f.press('ArrowRight') for _ in range(6)]; page.wait_for_timeout(500)
    click(tab, f, .5, .5); press('Track'); page.wait_for_timeout(200); press('Stop')
    tab.until("() => /tracked|stopped/.test(document.querySelector('.film .status').textContent)", 'stopped or done', 60); page.wait_for_timeout(500)
    press('Track'); page.wait_for_timeout(300); tab.until("() => /tracked|all is/.test(document.querySelector('.film .status').textContent)", 'tracked to the end', 60)
    f.press('End'); f.locator('button.sure').click(); tab.until("() => /^frame 11\\b/.test(document.querySelector('.film .status').textContent)", 'the frame that is seen is confirmed')
    f.press('Home'); f.press(' '); page.wait_for_timeout(700); f.locator('button.sure').click()
    tab.until("() => { const f = document.querySelector('.film'), t = +f.dataset.frame; return t > 1 && f.querySelector('.status').textContent.startsWith(`frame ${t}`) }", 'so it is while playing, which ends with it')
    press('Confirm all'); tab.until("() => /12 of 12 frames confirmed/.test(document.querySelector('.film .status').textContent)", 'confirmed')
    press('Save'); tab.until("() => /12 annotated frames/.test(document.querySelector('.film .status').textContent)", 'saved')
    page.get_by_text('by numbers').click(); page.get_by_label('x', exact=True).fill('500'); page.get_by_label('x', exact=True).press('Tab'); press('Click +')
    tab.until("() => /outside the picture/.test(document.querySelector('.film .status').textContent) && document.querySelector('.film .status').classList.contains('error')", 'a click outside is refused in words')
    tab.shot('annotate_saved')
    reopened(tab, folder, 'annotate.ipynb', f)
    from sam2_video_nb.data.check import check
    report = check(folder/'mine.json', check_files=True, progress=False)
    assert report.ok and report.n_annotations, str(report)

def test_live(tab, folder):
    "Train, pause, go on, a GIF, stop: by buttons, while the kernel is free"
    notebook(folder/'live.ipynb', live_cells)
    tab.run_all('live.ipynb')
    page = tab.page
    press = lambda name: page.get_by_role('button', name=name, exact=True).click()
    state = lambda what, s=60: tab.until("w => new RegExp(w).test(document.querySelector('.jupyter-widgets [role=status] table')?.textContent || '')", what, s, what)
    assert page.get_by_role('alert').filter(has_text='no such run folder').count()
    state('training'); state(r'step\s*([5-9]|\d\d)')
    press('pause'); state('paused'); press('GIF now'); tab.until("() => [...document.images].some(i => i.src.startsWith('blob:') && i.naturalWidth > 100 && i.closest('.widget-image, .jupyter-widgets'))", 'a GIF', 40)
    press('resume'); state('training'); page.wait_for_timeout(1500); tab.shot('live')
    press('stop'); state('finished', 90); tab.shot('live_finished')
    run, = [p.parent for p in (folder/'outputs').glob('*/*/report.html')]
    assert (run/'checkpoints'/'best.ckpt').is_file()
    return run

def test_ours(tab, folder):
    "Our own notebooks, opened as they are and run from top to bottom"
    for name in ('50_panels.browse', '52_panels.annotator'):
        emptied(root/'nbs'/f'{name}.ipynb', folder/f'{name}.ipynb')
        tab.run_all(f'{name}.ipynb')
        film(tab); tab.page.wait_for_timeout(500); tab.shot(f'ours_{name}')

faint_text = """root => {                    // texts with less than 4.5:1 against what lies behind them, as WCAG counts
  const rgba = s => [...s.match(/[\\d.]+/g).map(Number), 1].slice(0, 4)
  const over = (c, under) => [0, 1, 2].map(i => c[i]*c[3] + under[i]*(1-c[3]))
  const light = c => c.map(v => (v /= 255) <= .04045 ? v/12.92 : ((v+.055)/1.055)**2.4).reduce((sum, v, i) => sum + v*[.2126, .7152, .0722][i], 0)
  const ground = e => e ? over(rgba(getComputedStyle(e).backgroundColor), ground(e.parentElement)) : [255, 255, 255]
  const opacity = e => e ? getComputedStyle(e).opacity * opacity(e.parentElement) : 1
  const found = {}
  for (const e of document.querySelectorAll(root + ' *')) {
    if (e.closest(':disabled, [aria-disabled=true]') || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || !e.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue
    const behind = ground(e), ink = rgba(getComputedStyle(e).color)
    ink[3] *= opacity(e)
    const [low, high] = [light(over(ink, behind)), light(behind)].sort((a, b) => a - b), ratio = (high+.05) / (low+.05)
    if (ratio < 4.5) found[`${e.tagName} ${e.className} ${getComputedStyle(e).color} on ${behind.map(Math.round)}`] = `${ratio.toFixed(2)}:1 "${e.textContent.trim().slice(0, 40)}"`
  }
  return Object.entries(found).map(o => o.join(' ')) }"""
cut_off = """() => [...document.querySelectorAll('pre, div.cell-output-display, main table, .wide')]    // wider than their box, without a bar to scroll by
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1 && e.offsetHeight - e.clientHeight < 6)
  .map(e => `${e.tagName} ${e.className}, ${e.scrollWidth} px in ${e.clientWidth}: ${e.textContent.trim().slice(0, 40)}`)"""

figure_cells = ["""import numpy as np, tempfile
from IPython.display import HTML
from sam2_video_nb.show import *
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.panels.browse import browse
step = np.arange(60)
curves({'loss': (step, np.exp(-step/30)), 'J&F': dict(before=(step, step/90), after=(step, step/70))})""",
"""train, val = write_synth('data', videos=4, frames=12, size=128)
HTML(browse(train)._repr_mimebundle_()[0]['text/html'])"""]

def test_themes(b, front, out):
    "Panels, still pictures and curves follow JupyterLab's theme, whatever the system's is; all texts can be read"
    errors, grounds = [], {}
    theme, system = dict(lab=('Dark', 'light'), notebook=('Light', 'dark'))[front]
    for name, cells in dict(figures=figure_cells, browse=browse_cells, compare=compare_cells, annotate=annotate_cells, live=live_cells).items():
        folder = Path(tempfile.mkdtemp())
        with jupyter(folder, theme=f'JupyterLab {theme}') as at:
            notebook(folder/f'{name}.ipynb', cells)
            tab = Tab(b, at, front, out, errors)
            page = tab.page
            page.emulate_media(color_scheme=system)
            tab.run_all(f'{name}.ipynb')
            if name in ('browse', 'compare', 'annotate'): film(tab)
            if name=='live': tab.until("() => document.querySelector('.widget-image.themed')?.naturalWidth > 100", 'curves', 60)
            assert page.evaluate("() => document.body.dataset.jpThemeLight") == str(theme=='Light').lower(), f'the theme is not {theme}'
            page.wait_for_timeout(500)
            for kind, width in (('desk', 1280), ('phone', 390)):
                if front=='lab' and kind=='phone': page.keyboard.press('Control+b')      # the list of files leaves no room
                page.set_viewport_size(dict(width=width, height=1500))
                page.wait_for_timeout(500)
                tab.shot(f'{theme.lower()}_{name}_{kind}')
            errors += [f'{name}: hard to read ({theme}): {e}' for e in page.evaluate(faint_text, '.jp-OutputArea-output')]
            if name in ('figures', 'live'):
                page.set_viewport_size(dict(width=1280, height=1500))
                picture = page.locator('.jp-OutputArea-output img.themed, .widget-image.themed').first.screenshot()
                grounds[name] = np.asarray(Image.open(io.BytesIO(picture)).convert('L')).mean()
            if name=='live':
                page.get_by_role('button', name='stop', exact=True).click()
                tab.until("() => /finished/.test(document.querySelector('.jupyter-widgets [role=status] table').textContent)", 'finished', 90)
            page.close()
    for name, light in grounds.items():
        if (light > 128) != (theme=='Light'): errors.append(f'{name}: curves of brightness {light:.0f} in the {theme} theme')
    assert len(grounds)==2 and not errors, '\n'.join(errors[:30])

def visit(b, address, out, name, errors, width=1280, height=900, full=True, scheme='light'):
    "Open a page that may load nothing from elsewhere; what it shows is looked at for what is broken"
    page, asked = b.new_page(viewport=dict(width=width, height=height), color_scheme=scheme), []
    page.on('request', lambda r: asked.append(r.url) if not r.url.startswith(('file:', 'data:', 'blob:', 'http://127.0.0.1')) else None)
    page.on('requestfailed', lambda r: errors.append(f'{name}: {r.url[:200]} did not load'))
    page.on('response', lambda r: errors.append(f'{name}: {r.status} for {r.url[:200]}') if r.status>=400 else None)
    page.on('pageerror', lambda e: errors.append(f'{name}: {str(e)[:200]}'))
    page.on('console', lambda m: errors.append(f'{name}: {m.text[:200]}') if m.type=='error' else None)
    page.goto(address); page.wait_for_load_state('load')
    errors += [f'{name}: asks for {u}' for u in asked]
    lost = page.evaluate("() => [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt || i.src.slice(0, 80))")
    wide = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    errors += [f'{name}: a picture that is not there: {a}' for a in lost]
    if wide > 1: errors.append(f'{name}: {wide} px too wide for a screen of {width}')
    errors += [f'{name}: cut off: {e}' for e in page.evaluate(cut_off)]
    errors += [f'{name}: hard to read ({scheme}): {e}' for e in page.evaluate(faint_text, 'body')]
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)")
    if (max(ground) < 80) != (scheme=='dark'): errors.append(f'{name}: the page is {ground} where {scheme} is asked for')
    page.screenshot(path=str(out/f'{name}.png'), full_page=full and page.evaluate("() => document.documentElement.scrollHeight") < 12000)
    return page

def test_report(b, run, out):
    "The page of a run, as a file"
    errors = []
    for name, width, scheme in (('report', 1100, 'light'), ('report_dark', 1100, 'dark'), ('report_phone', 390, 'light'), ('report_phone_dark', 390, 'dark')):
        page = visit(b, (run/'report.html').as_uri(), out, name, errors, width, scheme=scheme)
        assert 'J&F' in page.inner_text('body') and page.locator('img').count() >= 2, 'the report has no figures'
        page.close()
    assert not errors, '\n'.join(errors)

@contextlib.contextmanager
def served(folder):
    "A folder on a free port"
    import functools, http.server, threading
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *a): pass
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}'
    finally: server.shutdown()

def test_menu(b, address, out, width):
    "A finger on the menu's button brings the menu, one on a link in it leads there"
    context = b.new_context(viewport=dict(width=width, height=844), has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f'{address}/index.html')
    menu, link = page.locator('#quarto-sidebar'), page.locator('#quarto-sidebar a[href*="clips.html"]')
    shown = lambda: page.wait_for_timeout(400) or menu.bounding_box()['x'] > -1
    button = page.locator('.quarto-btn-toggle').first
    assert not shown(), 'the menu covers the page'
    button.tap()
    assert shown(), 'the menu does not open'
    page.screenshot(path=str(out/f'site_menu_{width}.png'))
    link.scroll_into_view_if_needed()
    link.tap()
    page.wait_for_url('**/clips.html', timeout=5000)
    assert not shown(), 'the menu is still open on the next page'
    page.locator('.quarto-btn-toggle').first.tap()
    page.touchscreen.tap(width-20, 400)
    assert not shown(), 'a tap beside the menu does not close it'
    context.close()

def test_site(b, out):
    "Every page, on a desk in the light and on a phone in the dark; the menu; search; a slider that needs no kernel"
    docs, errors = root/'_docs', []
    pages = sorted(p.relative_to(docs).as_posix() for p in docs.rglob('*.html') if 'site_libs' not in p.parts)
    assert len(pages) > 30, f'only {len(pages)} pages: build the site first'
    with served(docs) as at:
        for p in pages:
            for kind, width, scheme in (('desk', 1280, 'light'), ('phone', 390, 'dark')):
                visit(b, f'{at}/{p}', out, f"site_{kind}_{p.replace('/', '_').removesuffix('.html')}", errors, width, scheme=scheme).close()
        for width in (390, 768, 980): test_menu(b, at, out, width)
        page = visit(b, f'{at}/widgets.html', out, 'site_slider', errors)
        s = page.locator('.slides').first; s.scroll_into_view_if_needed()
        look = lambda: s.locator('div[role=img]').evaluate("e => e.style.backgroundPosition")
        was = look(); s.locator('input').fill('5'); assert look()!=was, 'the slider does nothing'
        page.close()
        page = visit(b, f'{at}/index.html', out, 'site_search', errors)
        box = page.locator('.smalldocs-search input, input[type=search], #quarto-search input').first
        if not box.is_visible(): page.locator('.smalldocs-search button, #quarto-search button, .smalldocs-search').first.click()
        box.fill('object pointer'); page.wait_for_timeout(800); page.screenshot(path=str(out/'site_search.png'))
        found = page.locator('a[href*="model.html"], a[href*="track.html"]').filter(has_text='object pointer')      # what the menu links to does not say so
        assert found.count() and found.first.is_visible(), 'search finds nothing'
        page.close()
    assert not errors, '\n'.join(errors[:30])

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--out', type=Path, default=root/'.ci'/'screenshots', help="folder for screenshots")
    p.add_argument('--front', choices=['lab', 'notebook'], action='append', help="front end; both if not given")
    p.add_argument('--only', action='append', help="browse, compare, annotate, live, ours, themes, report or site")
    a = p.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    bad, run = 0, None
    def go(name, f, *args):
        nonlocal bad
        start = time.time()
        try: r = f(*args); print(f'{name}: passed ({time.time()-start:.0f} s)', flush=True); return r
        except Exception as e: bad += 1; print(f'{name}: FAILED\n{traceback.format_exc()[-2500:]}', flush=True)
    wanted = lambda k: not a.only or k in a.only
    with browser() as b:
        for front in a.front or ['lab', 'notebook']:
            for name, test in dict(browse=test_browse, compare=test_compare, annotate=test_annotate, live=test_live, ours=test_ours).items():
                if not wanted(name): continue
                folder, errors = Path(tempfile.mkdtemp()), []
                def one():
                    with jupyter(folder) as at:
                        tab = Tab(b, at, front, a.out, errors)
                        try:
                            r = test(tab, folder)
                            assert not errors, 'the console says: ' + '\n'.join(errors)
                            return r
                        except Exception: tab.shot(f'{name}_failed'); raise
                        finally: tab.page.close()
                run = go(f'{front}: {name}', one) or run
            if wanted('themes'): go(f'{front}: themes', test_themes, b, front, a.out)
        if wanted('report') and run: go('report', test_report, b, run, a.out)
        if wanted('site'): go('site', test_site, b, a.out)
    sys.exit(bool(bad))

if __name__=='__main__': main()
