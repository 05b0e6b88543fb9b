#!/bin/sh
# Brings what the interop tests need beside Go: kcat and a C compiler, a JDK with Maven, Node with npm, Python, the jars of Apache Kafka and of
# two releases of its client, Kafka Streams and Connect, kafkajs, kafka-python, and a browser and a Prometheus for the console and the alerts. Quiet,
# safe to run again, and over in a second when all is there. `interop/install.sh old` adds what only long runs need: old releases of the Java
# client. Packages come from whatever sources apt, mvn, npm and pip are set up to use.
set -eu
cd "$(dirname "$0")"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# quietly NAME COMMAND...: says what it does, and shows the command's output only when it fails.
quietly() {
	what=$1
	shift
	echo "interop: $what"
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		echo "interop: $what failed" >&2
		exit 1
	fi
}

missing=
need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need kcat kcat
need gcc gcc
need java default-jdk-headless
need mvn maven
need node nodejs
need npm npm
need python3 python3
need chromium chromium
need prometheus prometheus
python3 -c 'import ensurepip' >/dev/null 2>&1 || missing="$missing python3-venv"
if [ -n "$missing" ]; then
	apt="apt-get"
	[ "$(id -u)" = 0 ] || apt="sudo apt-get"
	export DEBIAN_FRONTEND=noninteractive
	# shellcheck disable=SC2086
	if ! $apt install -y -qq --no-install-recommends $missing >"$log" 2>&1; then
		quietly "package lists" $apt update -qq
		quietly "Debian packages:$missing" $apt install -y -qq --no-install-recommends $missing
	fi
fi

# done_for NAME FILES...: true when NAME was installed from exactly these files.
done_for() {
	name=$1
	shift
	cat "$@" | cksum | cmp -s - "$name/.installed"
}
mark() {
	name=$1
	shift
	cat "$@" | cksum >"$name/.installed"
}

mkdir -p kafka/target java/target apps/target node/node_modules console/node_modules
if ! done_for kafka/target kafka/pom.xml; then
	rm -rf kafka/target/dependency
	quietly "Apache Kafka's jars" mvn -q -B -f kafka/pom.xml dependency:copy-dependencies
	mark kafka/target kafka/pom.xml
fi
if ! done_for java/target java/pom.xml java/src/main/java/interop/*.java; then
	rm -rf java/target/clients java/target/clients-3.9
	quietly "the Java clients" mvn -q -B -f java/pom.xml process-classes
	mark java/target java/pom.xml java/src/main/java/interop/*.java
fi
if ! done_for apps/target apps/pom.xml apps/src/main/java/interop/*.java; then
	rm -rf apps/target/apps
	quietly "Kafka Streams and Connect" mvn -q -B -f apps/pom.xml process-classes
	mark apps/target apps/pom.xml apps/src/main/java/interop/*.java
fi
if ! done_for node/node_modules node/package.json node/package-lock.json; then
	quietly "kafkajs" npm ci --prefix node --no-audit --no-fund --silent
	mark node/node_modules node/package.json node/package-lock.json
fi
if ! done_for console/node_modules console/package.json console/package-lock.json; then
	quietly "playwright-core and axe-core" npm ci --prefix console --no-audit --no-fund --silent
	mark console/node_modules console/package.json console/package-lock.json
fi
if ! { [ -d python/.venv ] && done_for python/.venv python/requirements.txt; }; then
	rm -rf python/.venv
	quietly "a Python environment" python3 -m venv python/.venv
	quietly "kafka-python" python/.venv/bin/pip install --quiet --disable-pip-version-check -r python/requirements.txt
	mark python/.venv python/requirements.txt
fi
if [ "${1:-}" = old ]; then
	mkdir -p java/old/target
	if ! done_for java/old/target java/old/pom.xml; then
		rm -rf java/old/target/clients-2.8 java/old/target/clients-2.4
		quietly "old releases of the Java client" mvn -q -B -f java/old/pom.xml process-resources
		mark java/old/target java/old/pom.xml
	fi
fi
