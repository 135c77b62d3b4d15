# Everything runs from a virtual environment in .venv; no root is needed.
PYTHON ?= python3
# PyTorch is needed for training and its tests only. The default build on many machines is gigabytes of CUDA; there:
#   make install TORCH="torch --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
CODE := configs planner codegen simulator offramp tests bench examples

.PHONY: help install demo test quick lint lint-page check format golden bench train mutation misra faults fuzz applications documents clean

help:
	@echo "make demo      install what it needs, build and verify examples/mnist"
	@echo "make test      install everything, run all tests"
	@echo "make quick     the tests without those marked slow, for between two changes"
	@echo "make lint      linters and types"
	@echo "make check     make lint and all tests: what has to be green before a commit; .ci/run does the same"
	@echo "make install   .venv with everything"
	@echo "make golden    rewrite the golden files of the tests; review them as diffs"
	@echo "make bench     speed and size, as ratios"
	@echo "make train     MNIST=FOLDER of its idx files: data, main and exits of examples/mnist (half an hour on two cores)"
	@echo "make format    format the code; make documents: write what is made from the code again; make clean: remove .venv, node_modules and build"
	@echo "make fuzz      10,000 damaged inputs and 100 interrupted builds (ten minutes)"
	@echo "make applications   2,000 random applications with everything at once (half an hour)"
	@echo "make faults    faults and 20,000 inferences on the virtual board (ten minutes); writes docs/FAULTS.md"
	@echo "make misra     the C that ships under cppcheck and its MISRA addon; writes docs/MISRA.md"
	@echo "make mutation  move every field of the simulator's device files; show which checks notice"

$(VENV)/.created:
	$(PYTHON) -m venv $(VENV)
	touch $@

# What `offramp` and the virtual board need: no PyTorch.
$(VENV)/.demo: $(VENV)/.created pyproject.toml
	@echo "installing into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[board]"
	touch $@

$(VENV)/.installed: $(VENV)/.demo
	@echo "installing PyTorch ($(TORCH)) and the development tools into $(VENV) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[board,train,dev]"
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.demo
	$(BIN)/offramp build examples/mnist/spec.yaml -o build/mnist

test: install
	$(BIN)/pytest -n $(JOBS)

quick: install
	$(BIN)/pytest -n $(JOBS) -m "not slow"

# The linters of the page's script.
node_modules/.installed: package-lock.json
	npm ci --silent --no-audit --no-fund
	touch $@

lint-page: node_modules/.installed
	npm run --silent lint

lint: install
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory lint-page; \
	else echo "not run: the linters of the page's script, because npm is missing"; fi
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	MYPYPATH=examples $(BIN)/mypy examples/mnist
	$(BIN)/mypy examples/two-models
	$(BIN)/mypy examples/faces-78002
	$(BIN)/mypy examples/hardware-exits
	MYPYPATH=examples $(BIN)/mypy examples/motion
	MYPYPATH=examples $(BIN)/mypy examples/fashion-mnist
	MYPYPATH=examples $(BIN)/mypy examples/gate
	$(BIN)/mypy examples/figures.py examples/main_networks.py examples/picture_sets.py

check: lint test

format: install node_modules/.installed
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)
	npm run --silent format

golden: install
	$(BIN)/pytest --update-golden
	git diff --stat -- tests/golden

documents: install
	$(BIN)/python -m offramp.documents

bench: install
	failed=0; for script in build simulator placement switch cycles instructions energy_fit choose candidates workers thresholds coverage stock reloads page; do $(BIN)/python -m bench.$$script || failed=1; done; exit $$failed

train: install
	$(BIN)/python examples/mnist/digits.py $(MNIST)
	$(BIN)/python examples/mnist/train_digits.py build/mnist-data
	$(BIN)/offramp train examples/mnist/train.yaml -o build/mnist-exits --workers $(JOBS)
	$(BIN)/offramp build build/mnist-exits/spec.yaml -o build/mnist-found

fuzz: install
	$(BIN)/python -m bench.fuzz 10000
	$(BIN)/python -m bench.interrupts 100

applications: install
	$(BIN)/python -m bench.applications 2000 --workers $(JOBS)

mutation: install
	$(BIN)/python -m bench.mutation
	$(BIN)/python -m bench.mutation --device MAX78002

faults: install
	$(BIN)/python -m bench.faults --workers $(JOBS)
	$(BIN)/python -m bench.soak

misra: install
	$(BIN)/python -m bench.misra

clean:
	rm -rf $(VENV) node_modules build
