"""Name the classes of pictures, by onnxruntime and pillow alone: python predict.py MODEL.onnx PICTURE [PICTURE ...]"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
entry, world = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
how, classes = json.loads(world['preprocessing']), json.loads(world.get('classes', '[]'))
print(*(f'left out of the test pipeline: {name}\n' for name in how['others']), sep='', end='', file=sys.stderr)
for path in sys.argv[2:]:
    picture = ImageOps.exif_transpose(Image.open(path))
    if picture.mode.startswith('I;16'):  # 16 bits, which Pillow would cut off at 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    picture = picture.convert('L' if how['channels'] == 'L' else 'RGB')
    for step, size, *resampling in how['steps']:
        if step == 'crop':
            left, top = (round((have - want) / 2) for have, want in zip(picture.size, size, strict=True))
            picture = picture.crop((left, top, left + size[0], top + size[1]))
        else:
            size = size if step == 'size' else [int(size * side / min(picture.size)) for side in picture.size]
            picture = picture.resize(size, Image.Resampling[resampling[0].upper()])
    pixels = np.asarray(picture).reshape(1, picture.height, picture.width, -1)  # (1, height, width, channels)
    if 'uint8' not in entry.type:  # the graph does not normalise
        channels = pixels[..., ::-1] if how['channels'] == 'BGR' else pixels
        pixels = ((channels - np.float32(how['mean'])) / np.float32(how['std'])).astype(np.float32)
    pixels = pixels if world.get('layout') == 'nhwc' else pixels.transpose(0, 3, 1, 2)
    logits = session.run(None, {entry.name: np.ascontiguousarray(pixels)})[0][0]
    odds = np.exp(logits - logits.max(axis=0)).reshape(len(logits), -1)
    shares = (odds / odds.sum(axis=0)).mean(axis=1)  # over the positions of a segmentor
    print(f'{path}: {(classes or range(len(shares)))[shares.argmax()]} {shares.max():.1%}')
