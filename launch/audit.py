"""Look up known vulnerabilities of what the lock files install.

    .venv/bin/python -m launch.audit

It needs pip-audit (pip install pip-audit, in an environment of its own) and a way to the advisories
of PyPI or OSV. pip-audit itself calls packages sound that it could not look up; this does not.

Exit codes: 0: all were looked up, and nothing is known; 1: something is known, printed with the
version that mends it; 3: some could not be looked up, and nothing is known of the others.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

LOCKS = pathlib.Path(__file__).parent / 'locks'
SERVICES = ('pypi', 'osv')
FOUND, UNKNOWN = 1, 3


def look(program: str, lock: pathlib.Path, service: str) -> list[dict]:
    """Ask a service for the packages of a lock file.

    Returns:
      [{'name', 'version', 'vulns'}, ...]; instead of the last two `skip_reason` where it failed;
      empty if the service was not reached at all.
    """
    command = [program, '--requirement', str(lock), '--disable-pip', '--require-hashes']
    command += ['--vulnerability-service', service, '--format', 'json', '--progress-spinner', 'off']
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        return json.loads(done.stdout)['dependencies']
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines()[-1:] or ['no answer']
        print(f'{lock.name}, {service}: {said[0][:200]}', file=sys.stderr)
        return []


def audit(program: str, lock: pathlib.Path) -> int:
    """Look up a lock file, print what is known, and return the exit code."""
    answers: dict[str, dict] = {}
    wanted = sum('==' in line for line in lock.read_text().splitlines())
    for service in SERVICES:
        for one in look(program, lock, service):
            if 'vulns' in one:
                answers[one['name']] = one
        if len(answers) == wanted:
            break
    known = [(one, bad) for one in answers.values() for bad in one['vulns']]
    for one, bad in known:
        mended = ', '.join(bad.get('fix_versions', ())) or 'no version yet'
        print(f'{lock.name}: {one["name"]} {one["version"]}: {bad["id"]}; mended in {mended}')
    if known:
        return FOUND
    if len(answers) < wanted:
        print(
            f'{lock.name}: NOT AUDITED: {wanted - len(answers)} of {wanted} packages could not be '
            'looked up (no way to the advisories of PyPI or OSV?); nothing is known of them'
        )
        return UNKNOWN
    print(f'{lock.name}: {wanted} packages, no known vulnerability')
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m launch.audit", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument('lock', nargs='*', type=pathlib.Path, help='default: all of launch/locks')
    parser.add_argument('--pip-audit', default='pip-audit', help='the program; default: in PATH')
    args = parser.parse_args(arguments)
    program = shutil.which(args.pip_audit)
    if program is None:
        print(f'NOT AUDITED: {args.pip_audit} is missing: pip install pip-audit')
        return UNKNOWN
    codes = {audit(program, lock) for lock in args.lock or sorted(LOCKS.glob('*.txt'))}
    return FOUND if FOUND in codes else max(codes)


if __name__ == '__main__':
    sys.exit(main())
