# Says what a base image has, a fact a line, and changes nothing. Nothing but sh itself is needed.
for t in mkdir cp chown chmod rm; do
    ("$t" --help) > /dev/null 2>&1 < /dev/null
    [ $? != 127 ] || echo "missing=$t"
done
for t in apt-get apk dnf microdnf yum zypper pacman; do
    if command -v "$t" > /dev/null 2>&1; then
        echo "package_manager=$t"
        break
    fi
done
bash=$(command -v bash 2> /dev/null) && echo "bash=$bash"
libc=
for f in /lib/ld-musl-*.so.1; do [ ! -e "$f" ] || libc=musl; done
for f in /lib64/ld-linux-*.so.* /lib/ld-linux-*.so.*; do [ ! -e "$f" ] || libc=glibc; done
echo "libc=$libc"
if [ -r /etc/passwd ]; then
    # The last line may lack its newline.
    while IFS=: read -r n _ u _ _ h _ || [ -n "$n" ]; do
        [ "$n" != agent ] || echo "agent=$u:$h"
        [ "$u" != 1001 ] || echo "owner=$n"
    done < /etc/passwd
fi
