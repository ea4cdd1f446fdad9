"""The widgets in a real browser: JupyterLab and Notebook 7, driven by playwright with Debian's Chromium.

    python .ci/browser.py [--out FOLDER] [--only NAME] [--front lab|notebook]

Screenshots go to FOLDER (default .ci/screenshots, which git ignores). Exit code 1 if anything is not as it must be.
"""
import argparse, contextlib, functools, http.server, io, json, os, re, shutil, signal, socket, subprocess, sys
import tempfile, threading, time, traceback
from pathlib import Path
from urllib.request import Request, urlopen
import nbformat
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

here = Path(__file__).resolve().parent
root = here.parent
faint_text, cut_off = ((here/f'{name}.js').read_text(encoding='utf-8') for name in ('faint_text', 'cut_off'))

# A browser, a Jupyter server, notebooks

quiet = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync']

def chromium():
    "A Chromium: Debian's, or the one that playwright brought"
    for name in ('chromium', 'chromium-browser', 'google-chrome'):
        if path := shutil.which(name): return path
    return None

@contextlib.contextmanager
def browser():
    "A browser that asks nobody for updates"
    shown = ['--hide-scrollbars']         # a bar that readers see is to be seen here
    with sync_playwright() as p:
        b = p.chromium.launch(executable_path=chromium(), args=quiet, ignore_default_args=shown)
        try: yield b
        finally: b.close()

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def write_settings(folder, theme):
    "The front end's theme; and no question whether it may fetch news, which would lie over the page"
    folder.mkdir(parents=True)
    (folder/'themes.jupyterlab-settings').write_text(json.dumps(dict(theme=theme)))
    (folder/'notification.jupyterlab-settings').write_text(json.dumps(dict(fetchNews='false')))

def wait_for_server(server, address, log, seconds=60):
    "Until it answers"
    for _ in range(4*seconds):
        if server.poll() is not None: raise RuntimeError(log.read_text()[-2000:])
        try: return urlopen(f'{address}/api/status')
        except OSError: time.sleep(.25)
    raise RuntimeError('Jupyter does not answer\n' + log.read_text()[-2000:])

@contextlib.contextmanager
def jupyter(folder, threads=1, theme='JupyterLab Light'):
    "A Jupyter server of its own settings, on a free port; gives its address"
    port, own = free_port(), Path(tempfile.mkdtemp())
    write_settings(own/'JUPYTER_CONFIG_DIR/lab/user-settings/@jupyterlab/apputils-extension', theme)
    folders = ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'JUPYTER_RUNTIME_DIR', 'IPYTHONDIR')
    env = os.environ | {k: str(own/k) for k in folders} | dict(OMP_NUM_THREADS=str(threads))
    env['PATH'] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    command = [
        sys.executable, '-m', 'jupyterlab', '--allow-root', '--no-browser', '--ip=127.0.0.1', f'--port={port}',
        '--IdentityProvider.token=', '--ServerApp.disable_check_xsrf=True', '--LabApp.extension_manager=readonly',
        '--LabApp.news_url=None', f'--ServerApp.root_dir={folder}']
    with open(own/'log', 'w') as log:
        server = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f'http://127.0.0.1:{port}'
        wait_for_server(server, address, own/'log')
        yield address
    finally:
        server.terminate()
        try: server.wait(10)
        except subprocess.TimeoutExpired: server.kill()
        shutil.rmtree(own, ignore_errors=True)

def last_cell(): return nbformat.v4.new_code_cell("print('ALL'+'DONE')")

def notebook(path, cells):
    "Write a notebook of code cells; the last one says that all ran"
    kernel = dict(name='python3', display_name='Python 3', language='python')
    nb = nbformat.v4.new_notebook(metadata=dict(kernelspec=kernel))
    nb.cells = [*map(nbformat.v4.new_code_cell, cells), last_cell()]
    nbformat.write(nb, path)

def emptied(path, to):
    "Write a notebook of ours again without its outputs; the last cell says that all ran"
    nb = nbformat.read(path, 4)
    for c in nb.cells:
        if c.cell_type=='code': c.outputs = []
    nb.cells.append(last_cell())
    nbformat.write(nb, to)

def some(selector, pattern):
    "JavaScript: does any element match, in its text?"
    return f"() => [...document.querySelectorAll('{selector}')].some(e => /{pattern}/.test(e.textContent))"

class Tab:
    "A notebook that is open in a front end"
    known = (     # errors of the front ends' own
        'Failed to load resource', "reading 'schema'", 'favicon', 'shared module', 'filebrowser:open-path',
        'ResizeObserver loop', '403', '404', 'widget model not found')

    def __init__(self, b, address, front, out, errors):
        self.address, self.front, self.out, self.errors = address, front, out, errors
        self.page = b.new_page(viewport=dict(width=1280, height=1500))
        self.page.on('console', lambda m: self.note(m.text) if m.type=='error' else None)
        self.page.on('pageerror', lambda e: self.note(str(e)))

    def note(self, text):
        "An error that the browser tells of"
        if not any(k in text for k in self.known): self.errors.append(text[:300])

    def open(self, name):
        path = f'lab/tree/{name}?reset' if self.front=='lab' else f'notebooks/{name}'
        self.page.goto(f'{self.address}/{path}')

    def run_all(self, name, seconds=120):
        "Open a notebook, run every cell, wait for the last"
        page = self.page
        self.open(name)
        page.wait_for_selector('.jp-Notebook .jp-Cell', timeout=60000)
        page.wait_for_function(some('.jp-NotebookPanel-toolbar, .jp-Toolbar', 'Python 3'), timeout=60000)
        page.wait_for_timeout(1500)
        page.get_by_role('menuitem', name='Run', exact=True).click()
        page.get_by_role('menuitem', name='Run All Cells', exact=True).click()
        page.wait_for_function(some('.jp-OutputArea-output', 'ALLDONE|Traceback'), timeout=1000*seconds)
        trace = re.compile('Traceback')                   # a string would match in any case
        bad = page.locator('.jp-OutputArea-output', has_text=trace)
        if bad.count(): raise AssertionError(f'{name}: {bad.first.inner_text()[-1500:]}')

    def shot(self, what): self.page.screenshot(path=str(self.out/f'{self.front}_{what}.png'))

    def press(self, name):
        "A button, by its name"
        self.page.get_by_role('button', name=name, exact=True).click()

    def until(self, js, what, seconds=20, arg=None):
        "Wait until a function holds in the page"
        try: return self.page.wait_for_function(js, arg=arg, timeout=1000*seconds).json_value()
        except Exception as e:
            self.shot('failed')
            raise AssertionError(f'{what}: not within {seconds} s') from e

    def until_film(self, js, what, seconds=20, arg=None):
        "Wait until a function of the first film (and `arg`) holds"
        return self.until(f"arg => ({js})(document.querySelector('.film'), arg)", what, seconds, arg)

    def until_status(self, pattern, what, seconds=20):
        "Wait until the line under the picture matches"
        js = "(f, pattern) => new RegExp(pattern).test(f.querySelector('.status').textContent)"
        self.until_film(js, what, seconds, pattern)

    def until_frame(self, t, what, seconds=5):
        "Wait until a frame is seen"
        self.until_film('(f, t) => +f.dataset.frame === t', what, seconds, t)

    def until_video(self, i, what, seconds=20):
        "Wait until a video is chosen, and loaded whole"
        self.until_film("(f, i) => +f.querySelector('select').value === i", what, seconds, i)
        film(self)

# Looking at a film

loaded = """i => {
  const f = document.querySelectorAll('.film')[i]
  return f && f.dataset.frame !== undefined && +f.dataset.loaded === +f.querySelector('input.frame').max + 1
}"""

def film(tab, i=0):
    "A film that is loaded whole"
    f = tab.page.locator('.film').nth(i)
    f.wait_for(timeout=60000)
    f.scroll_into_view_if_needed()
    tab.until(loaded, 'all frames are in the browser', 60, i)
    return f

bytes_of = "c.getContext('2d').getImageData(0, 0, c.width, c.height).data"
hash_of_pixels = f"""c => {{
  const d = {bytes_of}
  let hash = 0
  for (let i = 0; i < d.length; i += 4) hash = (hash*31 + d[i]*65536 + d[i+1]*256 + d[i+2]) % 2147483647
  return hash
}}"""
count_of_colour = f"""(c, [r, g, b]) => {{
  const d = {bytes_of}
  let n = 0
  for (let i = 0; i < d.length; i += 4) n += d[i] === r && d[i+1] === g && d[i+2] === b
  return n
}}"""

def pixels(f):
    "The canvas of a film, as a number"
    return f.locator('canvas.stage').evaluate(hash_of_pixels)

def colour_count(f, col):
    "How many pixels of the canvas have exactly this colour (borders of masks do)"
    return f.locator('canvas.stage').evaluate(count_of_colour, list(col))

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
cfg = load_cfg([
    'data.synth_videos=4', 'data.synth_frames=6', 'data.image_size=64', 'data.video_clip_length=3',
    'trainer.max_epochs=500', 'trainer.check_val_every_n_epoch=500', 'trainer.log_every_n_steps=2',
    'trainer.accelerator=cpu'])
run = train_live(cfg)
run""", "watch('nowhere')", "2+2"]

figure_cells = ["""import numpy as np, tempfile
from IPython.display import HTML
from sam2_video_nb.figures import *
from sam2_video_nb.data.synth import write_synth
from sam2_video_nb.panels.browse import browse
step = np.arange(60)
curves({'loss': (step, np.exp(-step/30)), 'J&F': dict(before=(step, step/90), after=(step, step/70))})""",
"""train, val = write_synth('data', videos=4, frames=12, size=128)
HTML(browse(train)._repr_mimebundle_()[0]['text/html'])"""]

# Browse

def switches(f):
    "Objects, categories and opacity"
    page, orange = f.page, (230, 159, 0)
    n = colour_count(f, orange)
    assert n > 20, 'the first object has no border in its colour'
    f.press('1')
    soon(lambda: f.locator('.chip').first.get_attribute('aria-pressed')=='false', 'object 1 is off')
    soon(lambda: colour_count(f, orange)==0, 'an object that is off is not seen')
    f.press('1')
    soon(lambda: colour_count(f, orange)==n, 'on again, it looks as before')
    f.locator('.chip', has_text='all star').first.click()
    soon(lambda: colour_count(f, orange)==0, 'a category is off')
    f.press('0')
    f.press('0')
    page.wait_for_timeout(300)
    full = pixels(f)
    f.locator('input.opacity').fill('0')
    soon(lambda: pixels(f)!=full, 'opacity changes the picture')
    f.locator('input.opacity').fill('50')

def under_mouse(tab, f, folder):
    "The mouse names the object that is under it, and no other; one that is switched off has no name"
    from sam2_video_nb.data.coco import CocoVideo
    coco = CocoVideo(folder/'data/bad.json')
    vid = coco.videos[0]
    masks, objs = coco.masks(vid, 0).numpy(), coco.objs[vid]
    names = [f'{coco.cats[c]} {o}' for o, c in objs]
    under, box = f.locator('.under'), f.locator('canvas.stage').bounding_box()
    def hover(y, x):
        side = box['width']/masks.shape[2]
        tab.page.mouse.move(box['x']+side*(x+.5), box['y']+side*(y+.5))
    f.press('Home')
    tab.until_frame(0, 'the first frame')
    for n, name in enumerate(names):
        alone = masks[n] & ~masks[[k for k in range(len(names)) if k!=n]].any(0)
        spots = np.argwhere(alone)
        if not len(spots): continue
        spot = spots[len(spots)//2]
        hover(*spot)
        soon(lambda: under.is_visible() and under.inner_text()==name, f'the mouse over it names {name}')
        if n==0: tab.shot('browse_name')
        f.press(str(n+1))
        hover(*(spot+[0,1]))
        hover(*spot)
        soon(lambda: not under.is_visible(), f'{name} has no name where it is switched off')
        f.press(str(n+1))
    hover(*np.argwhere(~masks.any(0))[0])
    soon(lambda: not under.is_visible(), 'the background has no name')

def steps(tab, f):
    "Keys, the slider, the timeline, playing"
    page = tab.page
    for key, t in (('ArrowRight', 1), ('Shift+ArrowRight', 11), ('Home', 0), ('End', 11)):
        f.press(key)
        tab.until_frame(t, f'{key} goes to frame {t}')
    f.locator('input.frame').fill('3')
    tab.until_frame(3, 'the slider goes to its frame')
    box = f.locator('canvas.timeline').bounding_box()
    page.mouse.click(box['x']+box['width']*7.5/12, box['y']+3)
    tab.until_frame(7, 'the timeline goes to its frame')
    f.locator('input.speed').fill('30')
    f.press('Home')
    f.locator('button.play').click()
    before = int(f.get_attribute('data-paints'))
    page.wait_for_timeout(1500)
    seen = int(f.get_attribute('data-paints'))-before
    f.locator('button.play').click()
    assert seen > 12, f'only {seen} frames in a second and a half'

def places(tab, f, folder):
    "A problem leads to its frame, the list and the buttons to their videos"
    d = json.loads((folder/'data/bad.json').read_text())
    bad = next(i for i in d['images'] if i['id']==d['annotations'][40]['image_id'])
    videos = list(dict.fromkeys(i['video_id'] for i in d['images']))
    video, t = videos.index(bad['video_id']), bad['order_in_video']
    assert (video, t)!=(0, int(f.get_attribute('data-frame'))), 'the click would go nowhere'
    f.locator('summary').click()
    f.locator('.problems button').first.click()
    there = "(f, [v, t]) => +f.dataset.frame === t && +f.querySelector('select').value === v"
    tab.until_film(there, 'a problem goes to its video and frame', 20, [video, t])
    film(tab)
    tab.shot('browse_problem')
    f.locator('select').select_option('0')
    tab.until_video(0, 'the first video')
    f.locator('select').select_option('1')
    tab.until_video(1, 'the next video')
    tab.page.locator('[title="next video"]').first.click()
    tab.until_video(2, 'the one after')

def test_browse(tab, folder):
    "Frames and masks are in the browser: playing, dragging, toggling and the timeline ask no kernel"
    notebook(folder/'browse.ipynb', browse_cells)
    tab.run_all('browse.ipynb')
    f = film(tab)
    tab.shot('browse')
    switches(f)
    under_mouse(tab, f, folder)
    steps(tab, f)
    places(tab, f, folder)
    notice = tab.page.get_by_role('alert').filter(has_text='no such file')
    assert notice.count(), 'a file that is not there has no notice'
    tab.shot('browse_after')

def test_compare(tab, folder):
    "Four panes, curves, worst frames"
    notebook(folder/'compare.ipynb', compare_cells)
    tab.run_all('compare.ipynb')
    f = film(tab)
    assert f.locator('canvas.stage').evaluate("c => c.width") > 4*128, 'not four panes'
    labels = f.locator('select option').all_inner_texts()
    js = [float(l.split()[-1]) for l in labels]
    assert js==sorted(js), f'not the worst first: {labels}'
    was = f.get_attribute('data-frame')
    f.get_by_role('button', name='next worst frame').click()
    tab.page.wait_for_timeout(300)
    assert f.get_attribute('data-frame')!=was
    tab.shot('compare')

# Annotate

def click(tab, f, x, y, shift=False, button='left'):
    "Click at a share of the picture, wait for the mask; gives the milliseconds from one to the other"
    box, n = f.locator('canvas.stage').bounding_box(), int(f.get_attribute('data-masks') or 0)
    if shift: tab.page.keyboard.down('Shift')
    tab.page.mouse.click(box['x']+box['width']*x, box['y']+box['height']*y, button=button)
    if shift: tab.page.keyboard.up('Shift')
    tab.until_film('(f, n) => +f.dataset.masks > n', 'the mask comes back', 20, n)
    return float(f.evaluate("e => e.dataset.answered - e.dataset.clicked"))

def clicks_and_boxes(tab, f):
    "An object by clicks, which are taken back, and another by a box"
    page = tab.page
    empty = pixels(f)
    click(tab, f, .2, .3)
    soon(lambda: pixels(f)!=empty, 'a mask after a click')
    page.wait_for_timeout(500)
    one = pixels(f)
    click(tab, f, .9, .9, shift=True)
    click(tab, f, .1, .9, button='right')
    assert f.locator('.chip').count()==1
    tab.press('Undo')
    page.wait_for_timeout(500)
    tab.press('Undo')
    soon(lambda: pixels(f)==one, 'undo gives back what was there')
    name = page.get_by_placeholder('name', exact=True)
    name.fill('disc')
    name.press('Tab')
    tab.press('Add object')
    tab.until_film("f => f.querySelectorAll('.chip').length >= 2", 'a second object')
    box, n = f.locator('canvas.stage').bounding_box(), int(f.get_attribute('data-masks'))
    page.mouse.move(box['x']+40, box['y']+50)
    page.mouse.down()
    page.mouse.move(box['x']+200, box['y']+220, steps=8)
    tab.shot('annotate_drag')
    page.mouse.up()
    tab.until_film('(f, n) => +f.dataset.masks > n', 'the mask of a box', 20, n)

def tracking(tab, f):
    "To the end; after a correction, stopped and to the end again"
    page = tab.page
    tab.press('Track')
    tab.until_status('tracked', 'tracked', 60)
    tab.shot('annotate')
    f.press('End')
    tab.until_frame(11, 'the last frame')
    page.wait_for_timeout(400)
    f.press('Home')
    for _ in range(6): f.press('ArrowRight')
    page.wait_for_timeout(500)
    click(tab, f, .5, .5)
    tab.press('Track')
    page.wait_for_timeout(200)
    tab.press('Stop')
    tab.until_status('tracked|stopped', 'stopped or done', 60)
    page.wait_for_timeout(500)
    tab.press('Track')
    page.wait_for_timeout(300)
    tab.until_status('tracked|all is', 'tracked to the end', 60)

def confirming(tab, f):
    "The frame that is seen, also while the film is played; then all, and saved"
    f.press('End')
    f.locator('button.sure').click()
    tab.until_status(r'^frame 11\b', 'the frame that is seen is confirmed')
    f.press('Home')
    f.press(' ')
    tab.page.wait_for_timeout(700)
    f.locator('button.sure').click()
    seen = "f => +f.dataset.frame > 1 && f.querySelector('.status').textContent.startsWith(`frame ${f.dataset.frame}`)"
    tab.until_film(seen, 'so it is while playing, which ends with it')
    tab.press('Confirm all')
    tab.until_status('12 of 12 frames confirmed', 'confirmed')
    tab.press('Save')
    tab.until_status('12 annotated frames', 'saved')

def refused_by_numbers(tab):
    "A click outside, typed"
    page = tab.page
    page.get_by_text('by numbers').click()
    field = page.get_by_label('x', exact=True)
    field.fill('500')
    field.press('Tab')
    tab.press('Click +')
    tab.until_status('outside the picture', 'a click outside is refused in words')
    tab.until_film("f => f.querySelector('.status').classList.contains('error')", 'and as an error')
    tab.shot('annotate_saved')

def zoomed(tab, f):
    "Click where the picture is enlarged and moved; gives where that is in the video"
    page, stage = tab.page, f.locator('canvas.stage')
    f.press('Home')
    page.wait_for_timeout(300)
    high, box = page.viewport_size['height'], stage.bounding_box()
    assert box['height'] <= .61*high, f"the picture takes {box['height']} of {high} px"
    x, y = box['x']+box['width']*.3, box['y']+box['height']*.4
    page.mouse.move(x, y)
    page.mouse.wheel(0, -500)
    tab.until_film('f => +f.dataset.zoom > 2', 'the wheel enlarges', 5)
    page.keyboard.down('Alt')
    page.mouse.down()
    page.mouse.move(x-40, y-30, steps=4)
    page.mouse.up()
    page.keyboard.up('Alt')
    click(tab, f, (x-40-box['x'])/box['width'], (y-30-box['y'])/box['height'])
    tab.shot('annotate_zoomed')
    f.press('f')
    return .3*128, .4*128           # of a video of 128 pixels

def restart_kernels(tab):
    for k in json.loads(urlopen(f'{tab.address}/api/kernels').read()):
        urlopen(Request(f"{tab.address}/api/kernels/{k['id']}/restart", method='POST'))

def clicked_at(draft):
    "All points of a draft"
    objects = json.loads(draft.read_text())['objects']
    return [point for o in objects for prompt in o['prompts'].values() for point in prompt.get('pts', [])]

def reopened(tab, folder, name, f):
    "What was not confirmed comes back; a panel without its kernel says so; a saved notebook shows its still face"
    page = tab.page
    sought = zoomed(tab, f)
    tab.press('Save draft')
    tab.until_status('draft.json', 'the draft is written')
    draft, = folder.glob('*.draft.json')
    points = clicked_at(draft)
    near = [p for p in points if max(abs(u-v) for u, v in zip(p, sought)) < 1]
    assert near, f'clicked at {sought}, marked at {points}'
    page.keyboard.press('Control+s')
    page.wait_for_timeout(1500)
    restart_kernels(tab)
    tab.press('Track')
    tab.until(some('.gone:not([hidden])', 'kernel .* is gone.*draft'), 'a panel without its kernel says so', 12)
    tab.shot('annotate_gone')
    page.goto('about:blank')
    tab.open(name)
    page.wait_for_selector('.slides', timeout=60000)
    tab.until(some('.jp-OutputArea-output', 'model not found'), 'the widget is looked for', 30)
    page.wait_for_timeout(500)
    face, complaint = page.locator('.slides').first, page.get_by_text('model not found').first
    assert face.is_visible() and not complaint.is_visible(), 'the still face does not win'
    tab.shot('annotate_reopened')
    tab.run_all(name)
    film(tab)
    tab.until_status('draft of .* is restored', 'the draft comes back')
    assert not page.locator('.slides').first.is_visible(), 'the still face beside a living panel'

def test_annotate(tab, folder):
    "Click, correct, track, confirm, save"
    from sam2_video_nb.data.check import check
    for old in (folder/'mine.json', *folder.glob('*.draft.json')): old.unlink(missing_ok=True)
    notebook(folder/'annotate.ipynb', annotate_cells)
    tab.run_all('annotate.ipynb')
    f = film(tab)
    tab.press('Track')
    tab.until_status('click on an object first', 'a readable message')
    clicks_and_boxes(tab, f)
    tracking(tab, f)
    confirming(tab, f)
    refused_by_numbers(tab)
    reopened(tab, folder, 'annotate.ipynb', f)
    report = check(folder/'mine.json', check_files=True, progress=False)
    assert report.ok and report.n_annotations, str(report)

# Live

def end_trainings(folder):
    "A training is a session of its own: where a test fails, nobody else ends it"
    from sam2_video_nb.run import alive, read_object
    for path in folder.glob('outputs/*/*/status.json'):
        status = read_object(path)
        if alive(status): os.killpg(status['pid'], signal.SIGKILL)

gif_there = """() => [...document.images].some(i =>
  i.src.startsWith('blob:') && i.naturalWidth > 100 && i.closest('.widget-image, .jupyter-widgets'))"""

def live_run(tab, folder):
    "Train, pause, go on, a GIF, stop; gives the run's folder"
    page = tab.page
    def until_state(pattern, seconds=60):
        table = "document.querySelector('.jupyter-widgets [role=status] table')?.textContent || ''"
        tab.until(f'pattern => new RegExp(pattern).test({table})', pattern, seconds, pattern)
    assert page.get_by_role('alert').filter(has_text='no such run folder').count()
    until_state('training')
    until_state(r'step\s*([5-9]|\d\d)')
    tab.press('pause')
    until_state('paused')
    tab.press('GIF now')
    tab.until(gif_there, 'a GIF', 40)
    tab.press('resume')
    until_state('training')
    page.wait_for_timeout(1500)
    tab.shot('live')
    tab.press('stop')
    until_state('finished', 90)
    tab.shot('live_finished')
    run, = [p.parent for p in (folder/'outputs').glob('*/*/report.html')]
    assert (run/'checkpoints'/'best.ckpt').is_file()
    return run

def test_live(tab, folder):
    "Buttons work while the kernel is free"
    notebook(folder/'live.ipynb', live_cells)
    try:
        tab.run_all('live.ipynb')
        return live_run(tab, folder)
    finally: end_trainings(folder)

def test_ours(tab, folder):
    "Our own notebooks, opened as they are and run from top to bottom"
    for name in ('50_panels.browse', '52_panels.annotator', '53_panels.compare'):
        emptied(root/'nbs'/f'{name}.ipynb', folder/f'{name}.ipynb')
        tab.run_all(f'{name}.ipynb')
        film(tab)
        tab.page.wait_for_timeout(500)
        tab.shot(f'ours_{name}')

# Themes

def themed(tab, name, theme, errors):
    "What a notebook shows in a theme, on a desk and on a phone; gives how light its figures are, None without any"
    page = tab.page
    if name in ('browse', 'compare', 'annotate'): film(tab)
    curves = "() => document.querySelector('.widget-image.themed')?.naturalWidth > 100"
    if name=='live': tab.until(curves, 'curves', 60)
    is_light = page.evaluate("() => document.body.dataset.jpThemeLight")
    assert is_light==str(theme=='Light').lower(), f'the theme is not {theme}'
    page.wait_for_timeout(500)
    for kind, width in (('desk', 1280), ('phone', 390)):
        if tab.front=='lab' and kind=='phone': page.keyboard.press('Control+b')      # the list of files leaves no room
        page.set_viewport_size(dict(width=width, height=1500))
        page.wait_for_timeout(500)
        tab.shot(f'{theme.lower()}_{name}_{kind}')
    faint = page.evaluate(faint_text, '.jp-OutputArea-output')
    errors += [f'{name}: hard to read ({theme}): {e}' for e in faint]
    if name not in ('figures', 'live'): return None
    page.set_viewport_size(dict(width=1280, height=1500))
    picture = page.locator('.jp-OutputArea-output img.themed, .widget-image.themed').first.screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert('L')).mean()

def test_themes(b, front, out):
    "Panels, still pictures and curves follow JupyterLab's theme, whatever the system's is; all texts can be read"
    errors, grounds = [], {}
    theme, system = dict(lab=('Dark', 'light'), notebook=('Light', 'dark'))[front]
    books = dict(
        figures=figure_cells, browse=browse_cells, compare=compare_cells, annotate=annotate_cells, live=live_cells)
    for name, cells in books.items():
        folder = Path(tempfile.mkdtemp())
        try:
            with jupyter(folder, theme=f'JupyterLab {theme}') as at:
                notebook(folder/f'{name}.ipynb', cells)
                tab = Tab(b, at, front, out, errors)
                tab.page.emulate_media(color_scheme=system)
                tab.run_all(f'{name}.ipynb')
                light = themed(tab, name, theme, errors)
                if light is not None: grounds[name] = light
                tab.page.close()
        finally: end_trainings(folder)
    for name, light in grounds.items():
        if (light > 128) != (theme=='Light'):
            errors.append(f'{name}: curves of brightness {light:.0f} in the {theme} theme')
    assert len(grounds)==2 and not errors, '\n'.join(errors[:30])

# The report and the site

def watched(b, name, errors, width, height, scheme):
    "A page that notes what goes wrong in it"
    page = b.new_page(viewport=dict(width=width, height=height), color_scheme=scheme)
    ours = ('file:', 'data:', 'blob:', 'http://127.0.0.1')
    def note(text): errors.append(f'{name}: {text}')
    page.on('request', lambda r: None if r.url.startswith(ours) else note(f'asks for {r.url}'))
    page.on('requestfailed', lambda r: note(f'{r.url[:200]} did not load'))
    page.on('response', lambda r: note(f'{r.status} for {r.url[:200]}') if r.status>=400 else None)
    page.on('pageerror', lambda e: note(str(e)[:200]))
    page.on('console', lambda m: note(m.text[:200]) if m.type=='error' else None)
    return page

lost_pictures = """() =>
  [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.alt || i.src.slice(0, 80))"""
too_wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
body_colour = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"

def broken(page, width, scheme):
    "What a page shows that it should not"
    for alt in page.evaluate(lost_pictures): yield f'a picture that is not there: {alt}'
    wide = page.evaluate(too_wide)
    if wide > 1: yield f'{wide} px too wide for a screen of {width}'
    for e in page.evaluate(cut_off): yield f'cut off: {e}'
    for e in page.evaluate(faint_text, 'body'): yield f'hard to read ({scheme}): {e}'
    ground = page.evaluate(body_colour)
    if (max(ground) < 80) != (scheme=='dark'): yield f'the page is {ground} where {scheme} is asked for'

def visit(b, address, out, name, errors, width=1280, height=900, scheme='light'):
    "Open a page that may load nothing from elsewhere; what it shows is looked at for what is broken"
    page = watched(b, name, errors, width, height, scheme)
    page.goto(address)
    page.wait_for_load_state('load')
    errors += [f'{name}: {e}' for e in broken(page, width, scheme)]
    short = page.evaluate("() => document.documentElement.scrollHeight") < 12000
    page.screenshot(path=str(out/f'{name}.png'), full_page=short)
    return page

def test_report(b, run, out):
    "The page of a run, as a file"
    errors = []
    for kind, width in (('', 1100), ('_phone', 390)):
        for theme, scheme in (('', 'light'), ('_dark', 'dark')):
            address = (run/'report.html').as_uri()
            page = visit(b, address, out, f'report{kind}{theme}', errors, width, scheme=scheme)
            assert 'J&F' in page.inner_text('body') and page.locator('img').count() >= 2, 'the report has no figures'
            page.close()
    assert not errors, '\n'.join(errors)

class Quiet(http.server.SimpleHTTPRequestHandler):
    "A server that does not print what it is asked"
    def log_message(self, *a): pass

@contextlib.contextmanager
def served(folder):
    "A folder on a free port"
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}'
    finally: server.shutdown()

def test_menu(b, address, out, width):
    "A finger on the menu's button brings the menu, one on a link in it leads there"
    context = b.new_context(viewport=dict(width=width, height=844), has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f'{address}/index.html')
    menu, link = page.locator('#quarto-sidebar'), page.locator('#quarto-sidebar a[href*="data.clips.html"]')
    def shown():
        page.wait_for_timeout(400)
        return menu.bounding_box()['x'] > -1
    button = page.locator('.quarto-btn-toggle').first
    assert not shown(), 'the menu covers the page'
    button.tap()
    assert shown(), 'the menu does not open'
    page.screenshot(path=str(out/f'site_menu_{width}.png'))
    link.scroll_into_view_if_needed()
    link.tap()
    page.wait_for_url('**/data.clips.html', timeout=5000)
    assert not shown(), 'the menu is still open on the next page'
    page.locator('.quarto-btn-toggle').first.tap()
    page.touchscreen.tap(width-20, 400)
    assert not shown(), 'a tap beside the menu does not close it'
    context.close()

def test_slider(b, address, out, errors):
    "A still face that is dragged, where there is no kernel"
    page = visit(b, f'{address}/panels.browse.html', out, 'site_slider', errors)
    slides = page.locator('.slides').first
    slides.scroll_into_view_if_needed()
    def place(): return slides.locator('div[role=img]').evaluate("e => e.style.backgroundPosition")
    was = place()
    slides.locator('input').fill('5')
    assert place()!=was, 'the slider does nothing'
    page.close()

def test_search(b, address, out, errors):
    "Words that stand in a page lead to it"
    page = visit(b, f'{address}/index.html', out, 'site_search', errors)
    box = page.locator('.smalldocs-search input, input[type=search], #quarto-search input').first
    opener = page.locator('.smalldocs-search button, #quarto-search button, .smalldocs-search').first
    if not box.is_visible(): opener.click()
    box.fill('object pointer')
    page.wait_for_timeout(800)
    page.screenshot(path=str(out/'site_search.png'))
    links = page.locator('a[href*="model.sam2.html"], a[href*="track.tracker.html"]')
    found = links.filter(has_text='object pointer')      # what the menu links to does not say so
    assert found.count() and found.first.is_visible(), 'search finds nothing'
    page.close()

def test_site(b, out):
    "Every page, on a desk in the light and on a phone in the dark; the menu; search; a slider that needs no kernel"
    docs, errors = root/'_docs', []
    pages = sorted(p.relative_to(docs).as_posix() for p in docs.rglob('*.html') if 'site_libs' not in p.parts)
    assert len(pages) > 30, f'only {len(pages)} pages: build the site first'
    with served(docs) as at:
        for p in pages:
            name = p.replace('/', '_').removesuffix('.html')
            for kind, width, scheme in (('desk', 1280, 'light'), ('phone', 390, 'dark')):
                visit(b, f'{at}/{p}', out, f'site_{kind}_{name}', errors, width, scheme=scheme).close()
        for width in (390, 768, 980): test_menu(b, at, out, width)
        test_slider(b, at, out, errors)
        test_search(b, at, out, errors)
    assert not errors, '\n'.join(errors[:30])

# All of it

in_notebooks = dict(browse=test_browse, compare=test_compare, annotate=test_annotate, live=test_live, ours=test_ours)

def in_a_tab(b, front, name, out):
    "Run a test in a notebook of its own server; gives what it gives"
    folder, errors = Path(tempfile.mkdtemp()), []
    with jupyter(folder) as at:
        tab = Tab(b, at, front, out, errors)
        try:
            result = in_notebooks[name](tab, folder)
            assert not errors, 'the console says: ' + '\n'.join(errors)
            return result
        except Exception:
            tab.shot(f'{name}_failed')
            raise
        finally: tab.page.close()

class Results:
    "What passed and what failed"
    def __init__(self): self.failed = 0
    def run(self, name, f, *args):
        "Run a test; gives what it gives, None where it fails"
        start = time.time()
        try:
            result = f(*args)
            print(f'{name}: passed ({time.time()-start:.0f} s)', flush=True)
            return result
        except Exception:
            self.failed += 1
            print(f'{name}: FAILED\n{traceback.format_exc()[-2500:]}', flush=True)

def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--out', type=Path, default=here/'screenshots', help="folder for screenshots")
    p.add_argument('--front', choices=['lab', 'notebook'], action='append', help="front end; both if not given")
    p.add_argument('--only', action='append', help="browse, compare, annotate, live, ours, themes, report or site")
    return p.parse_args()

def main():
    a, results, run = arguments(), Results(), None
    a.out.mkdir(parents=True, exist_ok=True)
    def wanted(name): return not a.only or name in a.only
    with browser() as b:
        for front in a.front or ['lab', 'notebook']:
            for name in filter(wanted, in_notebooks):
                run = results.run(f'{front}: {name}', in_a_tab, b, front, name, a.out) or run
            if wanted('themes'): results.run(f'{front}: themes', test_themes, b, front, a.out)
        if wanted('report') and run: results.run('report', test_report, b, run, a.out)
        if wanted('site'): results.run('site', test_site, b, a.out)
    sys.exit(bool(results.failed))

if __name__=='__main__': main()
