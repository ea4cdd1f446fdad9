"""Photographs of Debian packages as backgrounds for `sam2_video_convert scenes`.

    python tools/pictures.py UNPACKED OUT

UNPACKED holds a folder for each package, as `dpkg-deb -x` unpacks it. Of a picture in several sizes one is taken; all
that are wider than high and at least 1000 pixels wide are written to OUT/backgrounds, 1600 pixels at most, named after
their package.
"""
import sys
from pathlib import Path
from PIL import Image

def pictures(top):
    "(package, name) to the file whose width is nearest to 2500 pixels"
    best = {}
    for f in sorted(Path(top).rglob('*')):
        if f.suffix.lower() not in ('.jpg', '.jpeg', '.png', '.webp'): continue
        with Image.open(f) as im: w, h = im.size
        if w < h or w < 1000: continue
        parts = f.relative_to(top).parts
        name = parts[parts.index('contents')-1] if 'contents' in parts else f.stem     # KDE: a folder for each
        if any('dark' in p for p in parts): name += '-dark'
        key = parts[0], name
        if key not in best or abs(w-2500) < abs(best[key][1]-2500): best[key] = f, w
    return {k: f for k, (f, _) in best.items()}

def main():
    if len(sys.argv)!=3: sys.exit(__doc__)
    out = Path(sys.argv[2])/'backgrounds'
    out.mkdir(parents=True, exist_ok=True)
    Image.MAX_IMAGE_PIXELS = None          # packages are trusted
    found = pictures(sys.argv[1])
    for (package, name), f in found.items():
        im = Image.open(f).convert('RGB')
        im.thumbnail((1600, 1600), Image.LANCZOS)
        im.save(out/f'{package}__{name}.jpg'.replace(' ', '_'), quality=92)
    print(f'{len(found)} pictures in {out}')

if __name__ == '__main__': main()
