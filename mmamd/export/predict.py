"""Name the classes of pictures, by onnxruntime and pillow alone: python predict.py MODEL.onnx PICTURE [PICTURE ...]"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
entry, = session.get_inputs()
world = session.get_modelmeta().custom_metadata_map
how, classes = json.loads(world['preprocessing']), json.loads(world.get('classes', '[]'))
for name in how['others']:
    print(f'the test pipeline of this model also has {name}, which is left out here', file=sys.stderr)
for path in sys.argv[2:]:
    picture = ImageOps.exif_transpose(Image.open(path)).convert('L' if how['channels'] == 'L' else 'RGB')
    for step, size, *resampling in how['steps']:
        if step == 'short edge':
            size = [int(size * side / min(picture.size)) for side in picture.size]
        if step == 'crop':
            left, top = (round((have - want) / 2) for have, want in zip(picture.size, size, strict=True))
            picture = picture.crop((left, top, left + size[0], top + size[1]))
        else:
            picture = picture.resize(size, Image.Resampling[resampling[0].upper()])
    pixels = np.asarray(picture).reshape(1, picture.height, picture.width, -1)  # (1, height, width, channels)
    if 'uint8' not in entry.type:  # the graph does not normalise
        pixels = pixels[..., ::-1] if how['channels'] == 'BGR' else pixels
        pixels = ((pixels - np.float32(how['mean'])) / np.float32(how['std'])).astype(np.float32)
    if world.get('layout') != 'nhwc':
        pixels = pixels.transpose(0, 3, 1, 2)
    (logits,), = session.run(None, {entry.name: np.ascontiguousarray(pixels)})
    shares = np.exp(logits - logits.max())
    best = int(logits.argmax())
    print(f'{path}: {classes[best] if classes else best} {shares[best] / shares.sum():.1%}')
