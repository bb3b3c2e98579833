# Needs Python >= 3.11 with pip, and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
DEVICES := .venv-devices
VULKAN := DEBIAN_FRONTEND=noninteractive timeout 120 apt-get install -qq -y --no-install-recommends mesa-vulkan-drivers libvulkan1
FOLDERS := compiler grammar passes targets
MODELS := .cache/models
OCR := $(MODELS)/ppocr4_rec.onnx
OCR_SHAPE := --shape x=1x3x48x320
MAGIKA := $(MODELS)/magika_v3_3.onnx
MAGIKA_SHAPE := --shape bytes=1x2048

.PHONY: browser demo test test-wide test-devices lint bench fuzz fuzz-models fuzz-bundles conformance properties clean

# Three processes on two cores, since some wait; a file of tests in one of them.
WORKERS ?= 3
PYTEST := -m pytest -q -n $(WORKERS) --dist loadfile

test: $(READY)
	$(BIN)/python $(PYTEST) $(ARGS)

# The same with every pair of a model and a target, and more examples: three quarters of an hour on two cores.
test-wide: $(READY)
	AUTOGLMC_WIDE=1 $(BIN)/python $(PYTEST) $(ARGS)

# Pages whose extras `make test` has, too.
NOT_AGAIN := -k "not pyarrow and not cryptography and not tokenizers"

# The tests that run on other runtimes than onnxruntime's CPU, in an environment of their own (1.1 GB): with them installed, segments for
# a Hexagon or Vulkan device really run there. Software Vulkan comes from Debian where that can be installed; what is missing is skipped.
test-devices: $(DEVICES)/ready $(READY)
	@ls /usr/share/vulkan/icd.d/*.json >/dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && { $(VULKAN) || { timeout 60 apt-get update -qq && $(VULKAN); }; } >/dev/null 2>&1; } || \
	  echo "no Vulkan driver, and mesa-vulkan-drivers could not be installed: tests on the GPU are skipped"
	$(DEVICES)/bin/python $(PYTEST) -rs tests/devices tests/docs/test_commands.py::test_a_page_holds_with_a_runtime $(NOT_AGAIN) $(ARGS)

# mypy reads the checkout under the package's name, whatever the folder is called.
lint: $(READY)
	$(BIN)/ruff check .
	mkdir -p $(VENV)/lint && ln -sfn "$(CURDIR)" $(VENV)/lint/autoglmc
	cd $(VENV)/lint && ../bin/mypy --config-file "$(CURDIR)/pyproject.toml" --cache-dir "$(CURDIR)/.mypy_cache" -m autoglmc $(addprefix -p autoglmc.,$(FOLDERS))
	$(BIN)/python -m pytest -q tests/test_architecture.py

# A real text recogniser (PP-OCRv4) and a real file-type detector (magika) for two phones, compiled, run, compared, summarised.
demo: $(READY) $(OCR) $(MAGIKA)
	mkdir -p demo
	$(BIN)/autoglmc $(OCR) --target a16 $(OCR_SHAPE) -o demo/ppocr4_rec.a16 --emulate
	$(BIN)/autoglmc $(OCR) --target snapdragon_8gen3 $(OCR_SHAPE) -o demo/ppocr4_rec.snapdragon_8gen3 --emulate
	$(BIN)/autoglmc $(MAGIKA) --target a16 $(MAGIKA_SHAPE) -o demo/magika.a16 --emulate
	$(BIN)/autoglmc $(MAGIKA) --target snapdragon_8gen3 $(MAGIKA_SHAPE) -o demo/magika.snapdragon_8gen3 --emulate
	for target in a16 snapdragon_8gen3; do \
	  $(BIN)/autoglmc verify $(OCR) demo/ppocr4_rec.$$target --emulate && $(BIN)/autoglmc verify $(MAGIKA) demo/magika.$$target --emulate || exit; \
	done

# Every operator case of the ONNX standard, for every stock target; three minutes a target on two cores. Answers are kept in .cache/conformance
# until the code changes, so that a run that was ended goes on, and TARGETS=x86_cpu,a16 runs some, without writing the page.
TARGETS ?=
conformance: $(READY)
	$(BIN)/python tests/conformance.py --answers .cache/conformance $(if $(TARGETS),--targets $(TARGETS),--table docs/conformance.md)

# Every rule on EXAMPLES truly random spellings in random graphs; about two minutes per hundred.
EXAMPLES ?= 300
properties: $(READY)
	AUTOGLMC_RANDOM=$(EXAMPLES) $(BIN)/python -m pytest -q tests/passes/test_every_rule.py $(ARGS)

# Pages of `report` in a real browser (Debian's chromium): every section used, large models timed; six minutes of a core.
browser: $(READY)
	test -x /usr/bin/chromium || { echo "needs /usr/bin/chromium: apt-get install chromium" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[browser]'
	$(BIN)/python tools/browser_check.py

# What docs/benchmarks.md states, measured again; twenty minutes on two cores that do nothing else.
bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python benchmarks/fetch_models.py
	$(BIN)/python benchmarks/compile_time.py --target all
	$(BIN)/python benchmarks/node_scaling.py
	$(BIN)/python benchmarks/rewrite_scaling.py
	$(BIN)/python benchmarks/result_speed.py
	$(BIN)/python benchmarks/session_overhead.py
	$(BIN)/python benchmarks/sram.py
	$(BIN)/python benchmarks/verify_time.py
	$(BIN)/python benchmarks/language_startup.py
	$(BIN)/python benchmarks/verify_slips.py --sites 1

# MUTATED .hw files and FAULTS single faults; these numbers take twenty minutes of one core.
MUTATED ?= 100000
FAULTS ?= 10000
fuzz: $(READY)
	$(BIN)/python tools/fuzz_language.py --count $(MUTATED)
	$(BIN)/python tools/single_faults.py --count $(FAULTS)

# EDITED bundles; with the runtimes of `make test-devices` installed, compiled files too. Ten minutes of one core.
EDITED ?= 2000
fuzz-bundles: $(READY)
	$$(test -x $(DEVICES)/bin/python && echo $(DEVICES) || echo $(VENV))/bin/python tools/fuzz_bundles.py --runs $(EDITED)

# MODELS_MUTATED runs of the command line, each on a mutated model; 5,000 take half an hour of one core.
MODELS_MUTATED ?= 5000
fuzz-models: $(READY)
	$(BIN)/python tools/fuzz_models.py --count $(MODELS_MUTATED)

$(DEVICES)/ready: pyproject.toml $(READY)
	test -x $(DEVICES)/bin/pip || $(BIN)/python -m venv $(DEVICES)
	$(DEVICES)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	for extra in npu gpu openvino litert ethos coreml coreai; do \
	  $(DEVICES)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$$extra]" || echo "the extra $$extra cannot be installed here: its tests are skipped"; \
	done
	touch $@

$(MODELS)/%.onnx: | $(READY)
	$(BIN)/python benchmarks/fetch_models.py $*

# A Python without ensurepip (Debian's without python3-venv) makes its environment with virtualenv.
$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "autoglmc needs Python >= 3.11: make PYTHON=python3.12")'
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); $(PYTHON) -m pip install --quiet --target .cache/virtualenv virtualenv && \
	  PYTHONPATH=.cache/virtualenv $(PYTHON) -m virtualenv --quiet $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	$(BIN)/python -m compileall -q $(FOLDERS)
	touch $@

clean:
	rm -rf $(VENV) $(DEVICES) .cache demo build dist *.egg-info
