#!/usr/bin/env bash
# Expected: a forwarder that passes a half-close on (the client has ended its sending and waits) passes the
# answer back; whether the server's end comes with the answer or a little later makes no difference.
# Seen: pen 0.34.1 (Debian 12) passes 20 of 20 answers if the server closes 0.3 s after its answer, and 0 of 20
# if the end rides in the same TCP segment as the answer: the client gets an orderly end and not one byte.
# A server that writes and closes at once does either, by luck. A client that keeps its side open gets 20 of 20.
# Why: once pen has passed the client's end on, the server's end closes both directions, which epoll reports as a
# hang-up, together with "readable". epoll.c turns that into an error, and the loop in pen.c looks for
# errors first and closes, before it has read what came.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: $2"
}

download() { (cd "$dir" && apt-get download -q pen=0.34.1-2+b1 libgeoip1=1.6.12-10 > apt.log 2>&1); }
download || { apt-get update -q > /dev/null; download; } || { cat "$dir/apt.log"; exit 1; }
for package in "$dir"/*.deb; do dpkg -x "$package" "$dir/root"; done
same "pen" "$(dpkg-deb -f "$dir"/pen_*.deb Version)" "0.34.1-2+b1"
export LD_LIBRARY_PATH="$dir/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2> /dev/null || echo x86_64-linux-gnu)"
cat > "$dir/scene.py" <<'PY'
import collections
import socket
import subprocess
import sys
import threading
import time

pen, log, half_close, pause, through = sys.argv[1], sys.argv[2], sys.argv[3] == "ends", float(sys.argv[4]), sys.argv[5] == "pen"

def answer(connection):
    got = b""
    while half_close or not got.endswith(b"\n"):
        more = connection.recv(1000)
        if not more:
            break
        got += more
    # MSG_MORE: the kernel keeps the bytes until more come, or the end
    connection.send(b"answer to " + got, 0 if pause else socket.MSG_MORE)
    time.sleep(pause)
    connection.close()

def serve(listener):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection,), daemon=True).start()

server = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=serve, args=(server,), daemon=True).start()
address = server.getsockname()
forwarder = None
if through:
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = free.getsockname()
    with open(log, "w") as out:
        forwarder = subprocess.Popen([pen, "-f", "-r", "127.0.0.1:%d" % front[1], "127.0.0.1:%d" % address[1]],
                                     stdout=out, stderr=out)
    for _ in range(100):
        try:
            socket.create_connection(front).close()
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    address = front
seen = collections.Counter()
try:
    for _ in range(20):
        with socket.create_connection(address) as client:
            client.settimeout(5)
            client.sendall(b"question\n")
            if half_close:
                client.shutdown(socket.SHUT_WR)
            got = b""
            try:
                while more := client.recv(1000):
                    got += more
                seen["whole" if got == b"answer to question\n" else "nothing" if not got else "part"] += 1
            except OSError as error:
                seen[type(error).__name__] += 1
finally:
    if forwarder:
        forwarder.terminate()
        forwarder.wait()
print(", ".join("%d %s" % (count, what) for what, count in sorted(seen.items())))
PY
scene() { timeout 60 python3 "$dir/scene.py" "$dir/root/usr/bin/pen" "$dir/pen.log" "$@"; }
same "no pen, the client ends its sending, the end with the answer" "$(scene ends 0 direct)" "20 whole"
same "pen, the client ends its sending, the end 0.3 s after the answer" "$(scene ends 0.3 pen)" "20 whole"
same "pen, the client keeps its side open, the end with the answer" "$(scene stays 0 pen)" "20 whole"
same "pen, the client ends its sending, the end with the answer" "$(scene ends 0 pen)" "20 nothing"
echo "It holds: pen loses the answer that comes together with the end."
