#!/bin/sh
# Run the program of an arm64 package on another machine: slowly, by qemu's user emulation.
# usage: scripts/arm64-emulated.sh PACKAGE.deb FOLDER [ARGUMENT...]
#
# FOLDER gets the package and Debian 12's Python for arm64, once; nothing of this machine is changed.
# The arguments are python's: -m oneglance.cli.start --help, if none are given.
set -eu
package=$(realpath "$1") folder=$(realpath -m "$2")
shift 2
command -v qemu-aarch64 >/dev/null || {
    echo "arm64-emulated.sh: apt install qemu-user" >&2
    exit 1
}
root=$folder/root
if [ ! -d "$root" ]; then
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/debs" "$root.new"
    touch "$folder/status"
    apt="apt-get -qq -o APT::Architecture=arm64 -o APT::Architectures=arm64 -o Debug::NoLocking=1
        -o Dir::State::lists=$folder/lists -o Dir::State::status=$folder/status -o Dir::Cache=$folder/cache"
    # shellcheck disable=SC2086  # a list of words is meant
    (
        cd "$folder/debs"
        $apt update
        $apt download libc6 python3.11 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib \
            libstdc++6 libgcc-s1 zlib1g libssl3 libffi8 libsqlite3-0 libexpat1 libbz2-1.0 liblzma5 \
            libuuid1 libncursesw6 libtinfo6 libreadline8 libdb5.3 libcrypt1 libgomp1
    )
    for each in "$folder"/debs/*.deb "$package"; do dpkg-deb -x "$each" "$root.new"; done
    # What libraries ask the kernel about the processor, as it is on a Raspberry Pi 5: they would
    # hear of this machine's, for which XNNPACK built for arm64 ends in a segmentation fault.
    cpus=$root.new/sys/devices/system/cpu
    mkdir -p "$root.new/proc" "$cpus"
    echo 0-3 | tee "$cpus/possible" >"$cpus/present"
    for n in 0 1 2 3; do
        mkdir -p "$cpus/cpu$n/topology" "$cpus/cpu$n/cache/index2" "$cpus/cpu$n/cpufreq"
        echo 0 >"$cpus/cpu$n/topology/physical_package_id"
        echo 0-3 >"$cpus/cpu$n/topology/cluster_cpus_list"
        echo 2 >"$cpus/cpu$n/cache/index2/level"
        echo 512K >"$cpus/cpu$n/cache/index2/size"
        echo $n >"$cpus/cpu$n/cache/index2/shared_cpu_list"
        echo 2400000 >"$cpus/cpu$n/cpufreq/cpuinfo_max_freq"
        echo 1500000 >"$cpus/cpu$n/cpufreq/cpuinfo_min_freq"
        cat <<TEXT
processor	: $n
BogoMIPS	: 108.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x4
CPU part	: 0xd0b
CPU revision	: 1

TEXT
    done >"$root.new/proc/cpuinfo"
    mv "$root.new" "$root"
fi
[ $# -gt 0 ] || set -- -m oneglance.cli.start --help
exec qemu-aarch64 -cpu cortex-a76 -L "$root" -E "PYTHONHOME=$root/usr" -E PYTHONDONTWRITEBYTECODE=1 -E PYTHONSAFEPATH=1 \
    -E "PYTHONPATH=$root/opt/oneglance/venv/lib/python3.11/site-packages" -E LC_ALL=C.UTF-8 \
    "$root/usr/bin/python3.11" "$@"
