"""The metafiles list what is shipped, with the counter's figures and none that was not measured."""

import re
from functools import cache
from pathlib import Path

import pytest
import yaml
from meta_device import meta_device
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path
from mmpretrain.apis import ModelHub, list_models
from mmpretrain.registry import MODELS

from mmamd.pruning.candidates import make_family, scale_grid
from mmamd.pruning.complexity import cost_function, profiled_cost, rest_cost
from mmamd.selection.table import amount_text
from mmamd.structures import Cost, Importance

ROOT = Path(__file__).parent.parent
FOLDERS = ('amd', 'distpro', 'kd', 'kd_zero', 'scalekd', 'segmentation', 'teacher')
METAFILES = {folder: yaml.safe_load((ROOT / f'configs/{folder}/metafile.yml').read_text()) for folder in FOLDERS}
ENTRIES = [entry for metafile in METAFILES.values() for entry in metafile['Models']]
# Of teachers that were trained here.
KEPT = {entry['Config']: entry['Weights'] for entry in ENTRIES if 'Weights' in entry}
OF_BEFORE = 56.94  # of a ViT-micro that was trained otherwise than by its config, and is not kept
COMPRESSIONS = [entry for entry in ENTRIES if 'Student' in entry['Metadata']]
# Swin's in the first stage, of which those of the others are multiples.
EMBED_DIMS = {'vit-b': 768, 'deit-b': 768, 'vit-l': 1024, 'vit-s': 384, 'deit-s': 384, 'vit-micro': 128, 'vit-tiny': 64,
              'swin-t': 96, 'swin-s': 96, 'swin-b': 128, 'swin-l': 192, 'swin-micro': 48}

# Networks that are trained by the recipe of another, whose depth and widths are options -> that one.
TRAINED_AS = {'resnet110_cifar100': 'resnet56_cifar100', 'resnet32x4_cifar100': 'resnet56_cifar100'}
# Collections of pairs, '<teacher>_<student>_<data>', whose students are networks of their own.
OF_PAIRS = ('ScaleKD', 'KD-Zero')

# Name of a metric -> what cards call it.
SHORT = {'Top 1 Accuracy': 'top-1', 'mIoU': 'mIoU'}


def network_of(entry):
    """Name of the network that an entry compresses, trains or teaches with."""
    name = re.sub('^(search_)?(distpro|kd|kd-kept|kd-zero|teacher)_', '', entry['Name'])
    return re.sub('_.*_', '_', name) if entry['In Collection'] in OF_PAIRS else name


def is_segmentor(entry):
    return entry['Config'].startswith('configs/segmentation/')


def value_of(measured):
    """The one metric of a part or a result."""
    value, = measured['Metrics'].values()
    return value


def each(entries):
    return pytest.mark.parametrize('entry', entries, ids=lambda entry: entry['Name'])


def parts_of(entry):
    """Teacher, assistant and student of an entry, by name."""
    return {name: entry['Metadata'][name] for name in ('Teacher', 'Assistant', 'Student') if name in entry['Metadata']}


@cache
def family_of(config):
    """Candidates of a compression at full size, if every layer's units are as important as every other's."""
    cfg = Config.fromfile(ROOT / config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope), meta_device():
        network = MODELS.build(cfg.model.architecture)
    unscaled = rest_cost(network) if cfg.default_scope == 'mmseg' else Cost(0, 0)  # heads of segmentors
    groups = network.backbone.unit_groups()
    even = {group.name: [float(group.count - i) for i in range(group.count)] for group in groups}
    return make_family(groups, Importance(even, 1, 'sample'), cost_function(network),
                       scale_grid(cfg.compression.num_candidates, cfg.compression.student_scale),
                       scale_by=cfg.compression.scale_by, prune=cfg.compression.prune, unscaled=unscaled)


@cache
def student_of_another_architecture(config):
    """Cost of the student of a compression that is no candidate; None where it is one."""
    cfg = Config.fromfile(ROOT / config)
    if not cfg.compression.get('student_architecture'):
        return None
    side = cfg.model.architecture.backbone.img_size
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        return profiled_cost(MODELS.build(cfg.compression.student_architecture), (3, side, side))


@cache
def costs_of_pair(config):
    """Costs of the teacher and of the student of a config whose student is of another architecture."""
    architecture = Config.fromfile(ROOT / config).model.architecture
    with DefaultScope.overwrite_default_scope('mmpretrain'), meta_device():
        network = MODELS.build(architecture)
        return profiled_cost(network, network.backbone.input_shape), student_of_another_architecture(config)


# --- what is listed ---

def test_index_imports_every_metafile():
    """MMEngine reads `mmamd::...` by the index: a list under Import, of files that are there."""
    index = yaml.safe_load((ROOT / 'model-index.yml').read_text())
    there = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob('configs/*/metafile.yml'))
    assert index == {'Import': there}


@pytest.mark.parametrize('folder', FOLDERS)
def test_every_config_is_listed_once_under_its_own_name(folder):
    listed = {entry['Name']: entry['Config'] for entry in METAFILES[folder]['Models']}
    assert listed == {path.stem: path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs' / folder).glob('*.py')
                      if not path.stem.startswith('transfer_')}  # which are of the size of the run that they start from
    assert len(METAFILES[folder]['Models']) == len(listed)


@pytest.mark.parametrize('folder', FOLDERS)
def test_collection_has_a_readme_a_paper_and_code(folder):
    collection, = METAFILES[folder]['Collections']
    assert collection['README'] == f'configs/{folder}/README.md'
    assert (ROOT / collection['README']).is_file() and (ROOT / collection['Code']).is_file()
    assert set(collection['Paper']) == {'Title', 'URL'}
    assert {entry['In Collection'] for entry in METAFILES[folder]['Models']} == {collection['Name']}
    paper = '[{Title}]({URL})'.format(**collection['Paper'])
    assert paper in (ROOT / collection['README']).read_text()


def test_mims_reader_understands_the_index():
    load = pytest.importorskip('modelindex.load_model_index', reason='openmim is not installed').load
    index = load(str(ROOT / 'model-index.yml'))
    index.build_models_with_collections()
    # The family gives READMEs from the root of the repository, which this reader looks for beside the metafile.
    assert [error for error in index.check(silent=True) or [] if 'README' not in error] == []
    assert {model.name: model.metadata.flops for model in index.models} == {
        entry['Name']: entry['Metadata']['FLOPs'] for entry in ENTRIES}
    assert {model.full_model.paper['Title'] for model in index.models} == {
        metafile['Collections'][0]['Paper']['Title'] for metafile in METAFILES.values()}


def test_hosts_reader_finds_each_model_by_its_config():
    """As MMEngine's `get_config('mmamd::...')` does with an installed package."""
    for folder in FOLDERS:
        for entry in METAFILES[folder]['Models']:
            assert entry['Config'].partition('/')[-1] == f"{folder}/{entry['Name']}.py"


@each(COMPRESSIONS)
def test_parts_of_a_compression_name_configs_that_exist(entry):
    recipe = Config.fromfile(ROOT / entry['Config'])
    assert ('Assistant' in parts_of(entry)) == (recipe.method.type == 'mmamd.AMD')
    for name, part in parts_of(entry).items():
        assert {'Config', 'Weights'} <= set(part)
        if name != 'Teacher':
            assert part['Config'] == entry['Config'] and part['Weights'] is None
    teacher = parts_of(entry)['Teacher']
    if is_segmentor(entry) and str(recipe.model.teacher).startswith('https://'):
        assert teacher['Weights'] == recipe.model.teacher  # test_segmentation_configs.py holds it against the zoo
        assert teacher['Config'].startswith('mmseg::')
    elif recipe.model.teacher in list_models():
        zoo = ModelHub.get(recipe.model.teacher)
        assert Path(teacher['Weights']).name == Path(zoo.weights).name  # the forks keep the same files elsewhere
        package, _, path = teacher['Config'].partition('::')
        assert Path(get_installed_path(package), '.mim', 'configs', path).samefile(zoo.config.filename)
    else:
        folder = 'segmentation' if is_segmentor(entry) else 'teacher'
        network = TRAINED_AS.get(network_of(entry), network_of(entry))
        assert teacher['Config'] == f'configs/{folder}/teacher_{network}.py'
        assert (ROOT / teacher['Config']).is_file()
        of_before = teacher.get('Metrics', {}).get('Top 1 Accuracy') == OF_BEFORE
        assert teacher['Weights'] == (None if of_before else KEPT.get(teacher['Config']))


def test_weights_that_are_kept_are_those_of_their_entry_with_the_figures_of_their_record():
    record = (ROOT / 'results/teachers/README.md').read_text()
    assert set(KEPT.values()) == {
        path.relative_to(ROOT).as_posix() for path in (ROOT / 'results/teachers').glob('*.pth')}
    for entry in ENTRIES:
        if 'Weights' in entry:
            row, = (line for line in record.splitlines() if f'`{Path(entry["Weights"]).name}`' in line)
            assert f"{entry['Metadata']['Parameters']:,} parameters" in row and f"`{entry['Config']}`" in row
            assert f"{value_of(entry['Results'][0]):.2f}" in row


# --- sizes ---

@pytest.mark.parametrize('entry', [
    pytest.param(entry, id=entry['Name'], marks=[pytest.mark.seg] if is_segmentor(entry) else []) for entry in ENTRIES])
def test_sizes_are_the_counters(entry):
    folder, metadata = 'segmentation' if is_segmentor(entry) else 'amd', entry['Metadata']
    if entry['In Collection'] in (*OF_PAIRS, 'DistPro') and student_of_another_architecture(entry['Config']):
        whole, student = costs_of_pair(entry['Config'])
    else:
        recipe = f'configs/{folder}/{network_of(entry)}.py'
        family = family_of(recipe)
        whole, student = family.teacher_cost, student_of_another_architecture(recipe) or family.student.cost
    cost = whole if entry['Name'].startswith('teacher_') else student
    assert (metadata['FLOPs'], metadata['Parameters']) == (cost.macs, cost.params)
    for name, part in parts_of(entry).items():
        if name == 'Teacher':
            assert (part['FLOPs'], part['Parameters']) == (whole.macs, whole.params)
        elif 'Scale' in part:
            expected = student if name == 'Student' else family.at(part['Scale']).cost
            assert part['FLOPs'] == expected.macs
            # A measured one may have lost more norms, of a weight and a bias each, together with their branches.
            lost = expected.params - part.get('Parameters', expected.params)
            assert lost >= 0 and (lost == 0 or lost % (2 * EMBED_DIMS[network_of(entry).split('_')[0]]) == 0)


@each(COMPRESSIONS)
def test_student_has_the_scale_of_its_config(entry):
    assert parts_of(entry)['Student']['Scale'] == Config.fromfile(ROOT / entry['Config']).compression.student_scale


# --- measured figures ---

@each(ENTRIES)
def test_result_is_what_the_recipe_card_says_was_measured(entry):
    card = (ROOT / entry['Config']).read_text()
    if 'Results' not in entry:
        assert '\nMeasured: not run.' in card
        assert 'Metrics' not in parts_of(entry).get('Student', {})
        return
    metrics = entry['Results'][0]['Metrics']
    figure, = (f'test {SHORT[name]} {value:.2f} %' for name, value in metrics.items())
    assert figure in card
    if parts_of(entry):
        assert parts_of(entry)['Student']['Metrics'] == metrics


@each(COMPRESSIONS)
def test_every_metric_has_a_record(entry):
    for part in parts_of(entry).values():
        assert ('Metrics' in part) == ('Record' in part)
        if 'Record' in part:
            figure, record = f'{value_of(part):.2f}', ROOT / part['Record']
            # The quickstart is its own record: who doubts it runs it.
            assert figure in record.read_text() or record == ROOT / 'tools/quickstart.sh'


@pytest.mark.parametrize('folder', FOLDERS)
def test_readme_table_repeats_the_metafile(folder):
    lines = (ROOT / f'configs/{folder}/README.md').read_text().splitlines()
    rows = {re.search(r'\[config\]\((.+)\.py\)', line).group(1): [cell.strip() for cell in line.strip('|').split('|')]
            for line in lines if '[config](' in line}
    assert list(rows) == [entry['Name'] for entry in METAFILES[folder]['Models']]
    for entry in METAFILES[folder]['Models']:
        row, metadata, parts = rows[entry['Name']], entry['Metadata'], parts_of(entry)
        sizes = [metadata['FLOPs'], parts.get('Student', {}).get('Parameters', metadata['Parameters'])]
        if parts:
            sizes = [parts['Teacher']['FLOPs'], parts['Teacher']['Parameters'], *sizes]
        expected = [metadata['Training Data'], *map(amount_text, sizes)]
        for name in ('Teacher', 'Student') if parts else ():
            measured = 'Metrics' in parts[name] and 'Results' in entry
            expected.append(f'{value_of(parts[name]):.2f}' if measured else '-')
        if not parts:
            expected.append(f"{value_of(entry['Results'][0]):.2f}" if 'Results' in entry else '-')
        assert row[1:-2] == expected
        assert (row[-2] == 'not run') == ('Results' not in entry)
