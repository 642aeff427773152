#!/usr/bin/env bash
# Expected: in a readers-writer lock called "fair", a writer that waits gets its turn, whoever else asks.
# Seen: rwlocker 3.4.2 (PyPI), AsyncRWLockFair. One task writes, and asks again at once; a second
# writer waits through hundreds of turns until it gives up. If a reader comes along, the reader gets in
# at the very next turn, and so does the starving writer right after it: the help comes from a reader.
# Why: acquire() in async_rwlock.py first asks whether the lock is free, whoever waits, and the release
# only sets a future: the task that runs on is the first to ask. _RWLockFairMixin in mixins.py holds
# places for waiting readers alone (a "reader phase"), which makes the first writer wait, and so queue
# behind the second; no place is ever held for a writer. Nothing here depends on threads or on the clock's precision.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: $2"
}

python3 -m pip install --quiet --no-cache-dir --root-user-action ignore --disable-pip-version-check --target "$dir/py" rwlocker==3.4.2
cat > "$dir/scene.py" <<'PY'
import asyncio
import sys

from rwlocker.async_rwlock import AsyncRWLockFair

async def scene(with_reader):
    lock = AsyncRWLockFair()
    turns = 0
    finished = False
    in_at = {}

    async def busy_writer():
        nonlocal turns
        while not finished:
            async with lock.write:
                turns += 1
                await asyncio.sleep(0.01)

    async def second_writer():
        try:
            await asyncio.wait_for(lock.write.acquire(), 3)
        except asyncio.TimeoutError:
            return
        in_at["writer"] = turns
        lock.write.release()

    async def reader():
        await asyncio.sleep(1)
        asked = turns
        async with lock.read:
            in_at["reader"] = turns - asked

    busy = asyncio.create_task(busy_writer())
    await asyncio.sleep(0)
    others = [asyncio.create_task(second_writer())]
    if with_reader:
        others.append(asyncio.create_task(reader()))
    await asyncio.gather(*others)
    finished = True
    await busy
    print(f"turns of the first writer: {turns}, in: {in_at}", file=sys.stderr)
    if not with_reader:
        assert turns > 30, turns
        print("gave up" if "writer" not in in_at else "got in")
    else:
        print("both" if in_at.get("reader", 9) <= 1 and turns - in_at.get("writer", -9) <= 1 else in_at)

asyncio.run(scene(sys.argv[1] == "reader"))
PY
export PYTHONPATH="$dir/py"
same "rwlocker" "$(python3 -c 'import rwlocker; print(rwlocker.__version__)')" 3.4.2
python3 --version
same "a second writer, for 3 s, beside a writer that asks again at once" "$(python3 "$dir/scene.py" alone)" "gave up"
same "the same, and a reader asks after 1 s; at the next turn in come" "$(python3 "$dir/scene.py" reader)" "both"
echo "It holds: the fair lock starves a writer until a reader comes."
