#!/bin/sh
# Installs an OpenSSH server that the agent user starts without root.
# Run as root by the builder; options come as environment variables.
set -eu

apt_install() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "This feature needs a Debian or Ubuntu image." >&2
        exit 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1; then
        apt-get update
    fi
    apt-get install -y --no-install-recommends "$@"
    apt-get clean
    rm -rf /var/lib/apt/lists/*
}

port="${PORT:-2222}"
case "$port" in
    '' | *[!0-9]* | ??????*)
        echo "The option port must be a number, not '$port'." >&2
        exit 1
        ;;
esac
if [ "$port" -lt 1024 ] || [ "$port" -gt 65535 ]; then
    echo "The option port must be between 1024 and 65535, not $port." >&2
    exit 1
fi

apt_install openssh-server
# The package makes host keys at install: an image that many crews share must not hold them.
rm -f /etc/ssh/ssh_host_*
mkdir -p /run/sshd

cat >/usr/local/share/crewship-sshd.sh <<EOF
#!/bin/sh
# Starts sshd as the current user, then the command it was given. Host keys are made at the first
# start, in the user's home. A server that can't start is no reason to keep the agent from running.
port=$port
EOF
cat >>/usr/local/share/crewship-sshd.sh <<'EOF'
state="${HOME:-/tmp}/.crewship-sshd"
# exec only at the end: the agent's command must run whatever happens here.
start_sshd() {
    umask 077
    mkdir -p "$state" "$HOME/.ssh" || return 1
    if [ ! -f "$state/host_key" ]; then
        ssh-keygen -q -t ed25519 -N '' -f "$state/host_key" || return 1
    fi
    /usr/sbin/sshd -f /dev/null -E "$state/log" \
        -p "$port" -h "$state/host_key" \
        -o PidFile="$state/pid" \
        -o AuthorizedKeysFile=.ssh/authorized_keys \
        -o PasswordAuthentication=no -o KbdInteractiveAuthentication=no -o UsePAM=no \
        -o Subsystem='sftp internal-sftp'
}
if (start_sshd) >/dev/null 2>&1; then
    echo "sshd listens on port $port"
else
    echo "sshd did not start, see $state/log" >&2
fi
[ $# -eq 0 ] || exec "$@"
EOF
chmod 755 /usr/local/share/crewship-sshd.sh

echo "The SSH server is installed; it listens on port $port once the agent starts."
