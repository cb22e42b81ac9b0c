# make help    this list
# make demo    real faces, from video frames to a lock, in a minute   (CAMERA=0: your own camera)
# make test    everything that can be tested on this machine
# make test-fast   the inner loop: half of the tests, in less than a minute on two quiet cores
# make test-steady   REPEAT=20 times the tests that wait for something, under load; ONLY=tests/x.py
# make test-system   faults under a booted systemd, as root, an hour; DOC=1 writes docs/reliability.md
# make soak    a whole door for HOURS=2 of faults; DOC=1 writes docs/soak.md
# make check   style, types, links between rooms
# make bench   every figure of the docs that is not fresh; LIST=1 shows them, ONLY=name, DATA=DIR has the data
# make bench-realtime   oneglance beside its peers alone; QUICK=1 for a look
# make attack  replays, forgeries, photographs: a whole house is attacked (VISITS=1000, an hour)
# make test-home-assistant   a door in a real Home Assistant, in an environment of its own
# make test-alerts   the alert rules and the dashboard, by promtool
# make fuzz    hostile input for every parser, for MINUTES=10 (x86-64 only)
# make wheel   the distribution, in dist/, built twice and the same each time
# make deb     Debian 12 packages for amd64 and arm64 in dist/, their bills of materials, SHA256SUMS
# make release-check   whether this can be released: docs/releasing.md
# make wheels-arm64   whether all that a Raspberry Pi needs has a wheel for it
# make docs    the site, in build/site; every link is checked
# make kiosk-tour   the screen in every state, language and size, from a real kiosk (a quarter of an hour)
# make words   the screen's words: catalogues brought up to date and compiled
# make graph   the picture of who loads whom, in docs/images/

VENV := .venv
BIN := $(VENV)/bin
ROOMS := audit contract faces models training converter daemon kiosk_ui door cli
SOURCES := oneglance $(ROOMS) tests benchmarks
DATA ?= ../shared/data
TEST_PACKAGES := mosquitto openssl ffmpeg git nodejs xvfb libgl1 libgl1-mesa-dri libegl1 libgles2 libmtdev1 \
	gcc libc6-dev shellcheck systemd

SYSTEM_PACKAGES := debootstrap systemd-container util-linux mount tar e2fsprogs

# What is compiled is kept, whatever the environment says: tests start hundreds of Pythons.
unexport PYTHONDONTWRITEBYTECODE

.DELETE_ON_ERROR:
.PHONY: demo help test test-fast slow-tests test-steady test-home-assistant test-alerts test-system soak check typecheck bench \
	bench-realtime attack fuzz wheel deb release-check wheels-arm64 schemas words kiosk-tour graph docs links clean

demo: $(VENV)/.demo
	$(BIN)/oneglance demo $(if $(CAMERA),--camera $(CAMERA))

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

test: $(VENV)/.dev
	sh scripts/debian-packages.sh $(TEST_PACKAGES)
	$(MAKE) --no-print-directory check
	-$(BIN)/oneglance demo --fetch
	$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

# Left out are the files in tests/slow.txt. Name those that the last lines show there:
# make slow-tests writes the list anew from a run of all tests.
test-fast: $(VENV)/.dev
	$(BIN)/python -m pytest --quiet --numprocesses 4 --dist loadfile --no-loadscope-reorder \
		--durations 5 --durations-min 2 $(addprefix --ignore=,$(shell cat tests/slow.txt))

slow-tests: $(VENV)/.dev
	-$(BIN)/python -m pytest --quiet -p tests.waiting -o junit_family=xunit1 \
		--junitxml build/tests.xml --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/python scripts/slow_tests.py build/tests.xml

# Long: 20 repetitions take hours on two cores. Run again, it goes on where it was interrupted.
test-steady: $(VENV)/.dev
	sh scripts/debian-packages.sh $(TEST_PACKAGES) stress-ng
	$(BIN)/python scripts/steady.py --repeat $(or $(REPEAT),20) $(ONLY)

test-home-assistant: $(VENV)/.dev .venv-home-assistant/.made
	sh scripts/debian-packages.sh mosquitto openssl
	$(BIN)/python -m pytest tests/home_assistant

.venv-home-assistant/.made: scripts/home-assistant-environment.sh
	sh scripts/home-assistant-environment.sh .venv-home-assistant
	touch $@

test-alerts: $(VENV)/.dev
	sh scripts/debian-packages.sh prometheus
	$(BIN)/python scripts/check_monitoring.py

test-system: $(VENV)/.dev
	sh scripts/debian-packages.sh $(SYSTEM_PACKAGES)
	$(BIN)/oneglance demo --fetch
	ONEGLANCE_SYSTEM=$(if $(DOC),write,1) $(BIN)/python -m pytest -p no:xdist tests/system

soak: $(VENV)/.dev
	sh scripts/debian-packages.sh mosquitto openssl mount
	$(BIN)/oneglance demo --fetch
	$(BIN)/python benchmarks/soak.py --hours $(or $(HOURS),2) --seed $(or $(SEED),14) \
		--fps $(or $(FPS),20) $(if $(DOC),--doc)

check: $(VENV)/.dev typecheck
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

typecheck: $(VENV)/.dev links
	$(BIN)/mypy -p oneglance

# Long: a day on two cores. Run again, it goes on where it was interrupted.
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/bench.py --data $(DATA) $(if $(LIST),--list) $(if $(ONLY),--only $(ONLY))

bench-realtime: $(VENV)/.dev .venv-peers/.made
	$(BIN)/python benchmarks/realtime.py --data $(DATA) $(if $(QUICK),--quick)

# The peers stay out of our own environment: they need an old setuptools, and packages without theirs.
.venv-peers/.made: benchmarks/peers.txt benchmarks/peers-environment.sh
	sh benchmarks/peers-environment.sh .venv-peers
	touch $@

attack: $(VENV)/.dev
	sh scripts/debian-packages.sh ffmpeg
	$(BIN)/python benchmarks/attack.py --visits $(or $(VISITS),1000) \
		--presentations $(or $(PRESENTATIONS),20) --out build/attack.json

fuzz: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'atheris>=3,<4'
	$(BIN)/python scripts/fuzz.py --minutes $(or $(MINUTES),10)

wheel: $(VENV)/.dev
	sh scripts/wheel.sh $(BIN)/python dist

deb: wheel
	for architecture in amd64 arm64; do \
		sh scripts/deb.sh $(BIN)/python dist/oneglance-*.whl dist $$architecture || exit 1; done
	cd dist && sha256sum oneglance-*.whl oneglance_*.deb oneglance_*.cdx.json >SHA256SUMS

release-check: $(VENV)/.dev
	$(BIN)/python scripts/release_check.py
	rm -rf dist
	$(MAKE) --no-print-directory deb docs
	$(BIN)/python scripts/release_check.py --built dist

wheels-arm64: $(VENV)/.dev
	$(BIN)/python scripts/arm64_wheels.py

schemas: $(VENV)/.dev
	$(BIN)/python -m oneglance.contract.schemas
	$(BIN)/python -m oneglance.contract.reasons
	$(BIN)/python -m oneglance.faces.model.document

words: $(VENV)/.dev
	$(BIN)/python scripts/kiosk_words.py

kiosk-tour: $(VENV)/.dev
	sh scripts/debian-packages.sh xvfb libgl1 libgl1-mesa-dri libegl1 libgles2 libmtdev1
	$(BIN)/python scripts/kiosk_tour.py

graph: $(VENV)/.dev
	sh scripts/debian-packages.sh graphviz fonts-dejavu-core
	$(BIN)/python scripts/import_graph.py

# The rooms are folders of this checkout, but packages of oneglance: tools see them through links.
links:
	mkdir -p build/typecheck/oneglance
	for room in $(ROOMS); do ln -sfn ../../../$$room build/typecheck/oneglance/$$room; done
	for file in oneglance/*.py oneglance/py.typed; do ln -sf ../../../$$file build/typecheck/oneglance/; done

docs: .venv-docs/.made links
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict

.venv-docs/.made: scripts/docs-requirements.txt
	[ -x .venv-docs/bin/python ] || $(or $(PYTHON),python3) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r scripts/docs-requirements.txt
	touch $@

# A stamp newer than setup.cfg says that the environment holds what setup.cfg asks for.
$(VENV)/.demo: setup.cfg pyproject.toml
	sh scripts/environment.sh $(VENV) demo
	touch $@

$(VENV)/.dev: setup.cfg pyproject.toml
	sh scripts/environment.sh $(VENV) dev
	touch $@ $(VENV)/.demo

clean:
	rm -rf build dist demo-out *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
