# The words people and CI use. `just` lists them; `sudo python3 bootstrap.py setup` installs what they need.

venv := justfile_directory() / ".venv/bin"
# two workers, a file of tests at a time; the long ones, the lab's, begin first
both := "--dist loadfile --no-loadscope-reorder --tx 2*popen//python=" + justfile_directory() / "tests/alone"

# list the recipes
default:
    @just --list

# style, types and layers
check:
    {{venv}}/ruff check .
    {{venv}}/ruff format --check .
    {{venv}}/mypy
    {{venv}}/lint-imports --no-cache

# format the code
format:
    {{venv}}/ruff check --fix .
    {{venv}}/ruff format .

# everything: style, types, layers, all tests, the lab's too
test *ARGS: check
    {{venv}}/pytest {{both}} {{ARGS}}

# the tests that need neither root nor the lab's image
quick *ARGS:
    {{venv}}/pytest -m "not lab" {{ARGS}}

# the tests in the lab
lab-test *ARGS:
    {{venv}}/pytest {{both}} -m lab {{ARGS}}

# side by side with what a user would pick instead; run by hand on a quiet machine
bench *ARGS:
    {{venv}}/python benchmarks/run.py {{ARGS}}

# pin the Python packages anew (needs uv)
lock:
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --upgrade pyproject.toml requirements/build.in --extra lab -o requirements/demo.txt
    uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -q --upgrade pyproject.toml requirements/build.in --extra lab --extra dev -o requirements/test.txt
