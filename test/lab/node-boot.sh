#!/bin/sh
# Makes a node out of a network namespace: run in the node's own net, mount and uts namespaces as
#   node-boot.sh NAME DIRECTORY
# DIRECTORY holds `rules` (iptables-restore), `fdb` (bridge -batch) and `ssh/`; the pid of the process
# that keeps the namespaces alive goes to DIRECTORY/holder.
set -eu
name=$1 directory=$2
hostname "$name"
exec 3>"$directory/holder"

# Nothing that a node writes may reach the machine or another node: its tools are the machine's, to read,
for tree in /usr /bin /sbin /lib*; do
  [ -L "$tree" ] && continue
  mount --rbind "$tree" "$tree"
  mount -o remount,bind,ro "$tree"
done
# and these are its own.
for tree in /etc /var /usr/local; do
  mkdir -p "$directory/upper$tree" "$directory/work$tree"
  mount -t overlay overlay -o "lowerdir=$tree,upperdir=$directory/upper$tree,workdir=$directory/work$tree" "$tree"
done
mkdir -p "$directory/root" "$directory/tmp"
chmod 700 "$directory/root"
# bash reads this for every command over SSH: output is to be framed, not taken for an answer.
if [ "$name" = client-1 ]; then echo 'echo "Welcome to $(hostname)"' >"$directory/root/.bashrc"; fi
chmod 1777 "$directory/tmp"
mount --bind "$directory/root" /root
mount --bind "$directory/tmp" /tmp

# These mounts show the network namespace of whoever makes them.
mount -t sysfs sysfs /sys
mount -t bpf bpf /sys/fs/bpf

if [ -s "$directory/fdb" ]; then bridge -batch "$directory/fdb"; fi
iptables-restore <"$directory/rules"

rm -rf /etc/ssh
cp -r "$directory/ssh" /etc/ssh
mkdir -p /etc/iproute2
touch /etc/iproute2/rt_tables
# sshd refuses a locked account even to a key.
sed -i 's/^root:!*[^:]*:/root:*:/' /etc/shadow

# The machine's /run last: the directory and every namespace file of this machine disappear with it.
umount -l /run/netns 2>/dev/null || true
mount -t tmpfs -o mode=755,size=64m tmpfs /run
mkdir -p /run/sshd /run/lock

/usr/sbin/sshd -f /etc/ssh/sshd_config </dev/null >/dev/null 2>&1 3>&-
tries=0
until grep -q ':0016 00000000:0000 0A ' /proc/net/tcp; do
  tries=$((tries + 1))
  if [ "$tries" -gt 200 ]; then
    echo "sshd does not listen" >&2
    exit 1
  fi
  sleep 0.02
done

setsid sleep infinity </dev/null >/dev/null 2>&1 3>&- &
echo "$!" >&3
