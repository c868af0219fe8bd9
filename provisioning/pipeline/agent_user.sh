# Makes the user `agent` with uid 1001 where it is not there yet, with nothing but sh, mkdir, cp and
# chown, so that it works where useradd is missing. Prints the home directory as its last line.
# Exit codes: 70 the name has another uid, 71 the uid has another name.
set -eu
umask 022
name=agent uid=1001 gid='' home=''
[ -e /etc/passwd ] || : > /etc/passwd
[ -e /etc/group ] || : > /etc/group
# Files of hand-made images may lack the last newline: such a line is read, and closed before another.
add() { # FILE LINE
    last=closed
    while IFS= read -r line || { [ -n "$line" ] && last=open; }; do :; done < "$1"
    [ "$last" = closed ] || echo >> "$1"
    echo "$2" >> "$1"
}
while IFS=: read -r n _ u g _ h _ || [ -n "$n" ]; do
    if [ "$n" = "$name" ]; then
        [ "$u" = "$uid" ] || { echo "user $name has the uid $u in this image"; exit 70; }
        gid=$g home=$h
    elif [ "$u" = "$uid" ]; then
        echo "uid $uid belongs to the user $n in this image"; exit 71
    fi
done < /etc/passwd
if [ -z "$home" ]; then
    taken=' '
    while IFS=: read -r n _ g _ || [ -n "$n" ]; do
        [ "$n" = "$name" ] && gid=$g
        taken="$taken$g "
    done < /etc/group
    if [ -z "$gid" ]; then
        gid=$uid
        while :; do
            case "$taken" in *" $gid "*) gid=$((gid + 1)) ;; *) break ;; esac
        done
        add /etc/group "$name:x:$gid:"
        [ ! -e /etc/gshadow ] || add /etc/gshadow "$name:!::"
    fi
    home=/home/$name
    shell=/bin/sh
    [ ! -x /bin/bash ] || shell=/bin/bash
    add /etc/passwd "$name:x:$uid:$gid::$home:$shell"
    [ ! -e /etc/shadow ] || add /etc/shadow "$name:!:19000:0:99999:7:::"
fi
if [ ! -d "$home" ]; then
    mkdir -p "$home"
    [ ! -d /etc/skel ] || cp -R /etc/skel/. "$home"/
fi
chown -R "$uid:$gid" "$home"
echo "home=$home"
