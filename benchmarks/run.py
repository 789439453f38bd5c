"""All benchmarks, one after the other: a table each, and how many targets are met.

    python benchmarks/run.py [--device cuda --dtype bfloat16 --batch-size 256] [--out results/benchmarks.json]

Further arguments are passed to every script: those that all of them take (--device, --dtype, --batch-size, --seconds,
--threads), and with --only those that the named ones take.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = ('candidate_cost', 'host_overhead', 'exported_student', 'joint_step', 'scoring', 'refit', 'communication',
           'whole_method', 'scaling', 'scalekd_cost')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='write all rows with their context')
    parser.add_argument('--only', nargs='+', choices=SCRIPTS, default=SCRIPTS)
    args, passed_on = parser.parse_known_args()
    tables, failed = [], []
    with tempfile.TemporaryDirectory() as folder:
        for script in args.only:
            begin = time.perf_counter()
            found = Path(folder, script).with_suffix('.json')
            command = [sys.executable, '-W', 'ignore', str(HERE / f'{script}.py'), '--json', str(found), *passed_on]
            done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                print(done.stderr, file=sys.stderr)
                failed.append(script)
                continue
            tables.append(json.loads(found.read_text()) | {'script': script})
            print(f'  ({time.perf_counter() - begin:.0f} s)', flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(tables, indent=1) + '\n')
    rows = [row for table in tables for row in table['rows'] if row['target'] is not None]
    missed = [row['what'] for row in rows if row['verdict'].startswith('missed')]
    print(f'{len(rows) - len(missed)} of {len(rows)} targets met; missed: {missed or "none"}')
    if failed:
        sys.exit(f'failed: {failed}')


if __name__ == '__main__':
    main()
