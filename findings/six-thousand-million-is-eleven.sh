#!/usr/bin/env bash
# Expected: two sums that mawk printed, and a 5, are added up by numsum as any other three numbers; whether it is
# asked for the sum of all, or for that of each column (there is but one), is the same.
# Seen: mawk 1.3.4 20200120 prints the sum of 1,000,000,000 and 2,000,000,000 as 3e+09, and numsum 0.5 (num-utils; both
# of Debian 12) adds that twice, and 5, up to 11. numsum -c says 6000000005, numsum -r 0, 0 and 5; numbound says that 5
# is the greatest. Nothing is said on stderr, all exit with 0. printf "%d" in mawk makes it 2147483647; "%.0f" is right.
# Why: mawk prints by OFMT, "%.6g", what does not fit into 32 bits, and "%d" stops at the greatest that does. numsum
# takes from a line what its own pattern of sign, digits and point finds at the beginning, here the 3; -c leaves
# the word to Perl, which knows exponents; -r wants the whole word to match, and skips it. Three ways in one script.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
same() { # what, seen, expected
  if [ "$2" != "$3" ]; then echo "DIFFERS: $1: saw \"$2\", not \"$3\""; exit 1; fi
  echo "$1: $2"
}

download() { (cd "$dir" && apt-get download -q mawk=1.3.4.20200120-3.1 num-utils=0.5-15 > apt.log 2>&1); }
download || { apt-get update -q > /dev/null; download; } || { cat "$dir/apt.log"; exit 1; }
for package in "$dir"/*.deb; do dpkg -x "$package" "$dir/root"; done
same "mawk" "$(dpkg-deb -f "$dir"/mawk_*.deb Version)" "1.3.4.20200120-3.1"
same "num-utils" "$(dpkg-deb -f "$dir"/num-utils_*.deb Version)" "0.5-15"
bin="$dir/root/usr/bin"
total() { printf '1000000000\n2000000000\n' | "$bin/mawk" "{ sum += \$1 } END { $1 }"; }
three() { # how mawk prints, then a command of num-utils
  { total "$1"; total "$1"; echo 5; } | "$bin/${@:2:1}" "${@:3}" 2> "$dir/stderr" | tr '\n' ' ' | sed 's/ $//'
  cat "$dir/stderr"
}
same "mawk, print sum" "$(total 'print sum')" "3e+09"
same "numsum of that, that and 5" "$(three 'print sum' numsum)" "11"
same "numsum -c of the same" "$(three 'print sum' numsum -c)" "6000000005"
same "numsum -r of the same" "$(three 'print sum' numsum -r)" "0 0 5"
same "numbound of the same" "$(three 'print sum' numbound)" "5"
same "mawk, printf %d" "$(total 'printf "%d\n", sum')" "2147483647"
same "numsum of that, that and 5" "$(three 'printf "%d\n", sum' numsum)" "4294967299"
same "mawk, printf %.0f" "$(total 'printf "%.0f\n", sum')" "3000000000"
same "numsum of that, that and 5" "$(three 'printf "%.0f\n", sum' numsum)" "6000000005"
echo "It holds: 3e+09 and 3e+09 and 5 are 11."
