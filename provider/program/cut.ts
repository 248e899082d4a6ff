import type { Connections, Cut } from "../compile/cuts";
import { CLASS_NODE } from "../model/mark";
import { READ_LINE } from "./conntrack-line";
import { FLOW_FUNCTIONS } from "./cut-flows";

/** The cuts of a batch as `egw_cut` reads them, networks as ranges of numbers. */
export function cutLines({ by, spare, anew, ...selection }: Cut): string[] {
  const path = by.kind === "mark" ? `${by.mark}/${by.mask}` : by.kind === "snat" ? by.address : "-";
  return [
    `cut ${by.kind} ${path} ${anew ? "refuse" : "-"}${by.kind === "mark" && by.underlay !== undefined ? ` ${by.underlay}` : ""}`,
    ...rangeLines(selection, ""),
    ...(spare ?? []).flatMap((one) => ["stay", ...rangeLines(one, "t")]),
    ...(anew ?? []).flatMap((one) => ["anew", ...rangeLines(one, "a")]),
  ];
}

function rangeLines({ sources, destinations, except }: Connections, prefix: string): string[] {
  const range =
    (tag: string) =>
    (cidr: string): string => {
      const [address = "", length = "32"] = cidr.split("/");
      const base = address.split(".").reduce((n, octet) => n * 256 + Number(octet), 0);
      return `${prefix}${tag} ${base} ${base + 2 ** (32 - Number(length)) - 1}`;
    };
  return [...sources.map(range("s")), ...destinations.map(range("d")), ...except.map(range("x"))];
}

/** Seconds for which a flow without connections is refused: as long as conntrack would have kept it. */
const UDP_TIMEOUT = 120;
const ICMP_TIMEOUT = 30;

/**
 * egw_cut FILE (lines of `cutLines`) ends connections: remembers them in egw-cut, then takes them out of conntrack, so that their next packet is reset.
 * Each `conntrack -D` walks the whole table, so one is called for all that share a mark or address, or else a source,
 * or else a source and the widest network of destinations, as long as that hits nothing but what is to be cut; one by one
 * only where they stand among others to the same address.
 * One that is just opening is remembered for its repeated SYN as well, where that would open it by another source.
 * A flow without connections is remembered for a while where its next packet would leave with another source.
 * What is on no path of ours mostly has no mark at all, so what begins on one meanwhile is not hit.
 *
 * egw_bury ADDRESS: the set goes with the node's enrolment, and some connections have not said a word since they were cut.
 * Each of them gets a conntrack entry that leads to a closed port of the node itself: the kernel resets what comes, and
 * with that forgets the entry. One that was opening gets the same one: of SYN_SENT a SYN alone would be taken, and its pod may have got an answer that
 * conntrack did not believe. Members that stand for an open connection of a pod of this node carry its port in the comment.
 */
export const CUT_FUNCTION = `${FLOW_FUNCTIONS}
egw_cut() {
  { { egw_flows "$1" && conntrack -L; } 2> $T/cut-err || touch $T/cut-failed; } | awk -v cuts="$1" -v flows=$T/cut-flows -v opened=$T/cut-open -v members=$T/cut-members -v deletions=$T/cut-deletions '${READ_LINE}
    function number(ip,  p) { split(ip, p, "."); return ((p[1] * 256 + p[2]) * 256 + p[3]) * 256 + p[4] }
    function within(list, value,  i) { for (i = 1; i <= size[list]; i++) if (value >= from[list, i] && value <= to[list, i]) return 1; return 0 }
    function selects(kind, j) { return within(kind "s" j, s) && within(kind "d" j, d) && !within(kind "x" j, d) }
    function hits(by) { return by == UNMARKED ? int(mark / 16777216) != 38 : index(by, "-m " mark "/") == 1 || by == "-q " rdst }
    function lives() { return $4 ~ /^(SYN_RECV|ESTABLISHED|FIN_WAIT|CLOSE_WAIT|LAST_ACK)$/ && int(mark / 16777216) % 256 "," mark % 256 != "38,1" }
    function opens() { return $4 ~ /^SYN_(SENT|RECV)/ }
    function tally(counts, by) { counts[by]++; counts[by, src]++; counts[by, src, dst]++ }
    function anew(j,  a) { for (a = 1; a <= anews[j]; a++) if (selects("a", j "." a)) return 1; return !refuses[j] }
    function stays(j,  t) { for (t = 1; t <= stayings[j]; t++) if (selects("t", j "." t)) return 1; return 0 }
    function whole(key) { return seen[key] == cut[key] }
    function dotted(v) { return int(v / 16777216) "." int(v / 65536) % 256 "." int(v / 256) % 256 "." v % 256 }
    function at(key, v, l) { return key l SUBSEP int(v / p2[32 - l]) }
    # The widest network around an address of which nothing stays, and of those with as much in them the narrowest.
    function widest(key, v,  l) {
      for (l = 0; l < 32 && there[at(key, v, l)] != going[at(key, v, l)]; l++);
      for (; l < 32 && going[at(key, v, l + 1)] == going[at(key, v, l)]; l++);
      return dotted(int(v / p2[32 - l]) * p2[32 - l]) "/" l
    }
    BEGIN {
      p2[0] = 1; for (l = 1; l <= 32; l++) p2[l] = 2 * p2[l - 1]
      UNMARKED = "-m 0/4278190080"
      while ((getline line < cuts) > 0) {
        split(line, w, " ")
        if (w[1] == "cut") {
          filter[++c] = w[2] == "mark" ? "-m " w[3] : w[2] == "snat" ? "-q " w[3] : UNMARKED
          filters[filter[c]]
          refuses[c] = w[4] == "refuse"
          continue
        }
        if (w[1] == "anew") { anews[c]++; continue }
        if (w[1] == "stay") { stayings[c]++; continue }
        list = w[1] c (w[1] ~ /^a/ ? "." anews[c] : w[1] ~ /^t/ ? "." stayings[c] : "")
        k = ++size[list]
        from[list, k] = w[2]; to[list, k] = w[3]
      }
    }
    {
      read_line()
      if (!("src" in orig)) next
      src = orig["src"]; dst = orig["dst"]; sport = orig["sport"]; dport = orig["dport"]; rdst = reply["dst"]; mark = orig["mark"] + 0
      # conntrack names a protocol "unknown" that it does not take back by that name.
      if ($1 == "unknown") $1 = $2
      mark = mark - (int(mark / 16384) % 4) * 16384
      carried = orig["bpf"]
      # Of a flow without a cut for its path the mark is not known, but it is on one of ours.
      if (carried ~ /^egw_flows:/ && !mark) mark = ${CLASS_NODE}
      # Where a program has taken what the pod sends, the connection is open, though the stack has seen its beginning only.
      if ($1 == "tcp" && carried != "" && $(NF - 1) ~ /^ifindex=[1-9]/ && $(NF - 2) != "opening" && $3 > 0) { open[src, sport, dst, dport]; print src ",tcp:" sport "," dst > opened }
      if (carried == "") for (f in filters) if (f == UNMARKED ? mark < 16777216 : hits(f)) tally(seen, f)
      s = number(src); d = number(dst)
      for (j = 1; j <= c; j++) {
        if (!hits(filter[j]) || !selects("", j) || stays(j)) continue
        # What has ended long ago has nothing to be remembered for.
        if (carried != "" && $3 < 1) { print carried > flows; break }
        if ($1 == "tcp") print "add egw-cut " src ",tcp:" sport "," dst (lives() || (src, sport, dst, dport) in open ? " comment " dport : "") > members
        if ($1 == "tcp" && opens() && !anew(j) && !((src, sport, dst, dport) in open)) print "add egw-cut-opening " src ",tcp:" sport "," dst " comment " dport > members
        else if ($1 == "udp" && !anew(j)) print "add egw-cut " src ",udp:" sport "," dst " timeout ${UDP_TIMEOUT}" > members
        else if ($1 == "icmp" && orig["type"] == 8 && !anew(j)) print "add egw-cut " src ",icmp:8/0," dst " timeout ${ICMP_TIMEOUT}" > members
        if (carried != "") { print carried > flows; break }
        fs[++n] = filter[j] == UNMARKED && mark >= 16777216 ? "" : filter[j]
        if (fs[n] != "") tally(cut, fs[n])
        ss[n] = src; ds[n] = dst; ps[n] = $1
        ends[n] = $1 == "tcp" || $1 == "udp" ? "--sport " sport " --dport " dport : $1 == "icmp" ? "--icmp-id " orig["id"] : ""
        break
      }
    }
    END {
      for (key in seen) {
        if (split(key, w, SUBSEP) < 3 || whole(w[1] SUBSEP w[2])) continue
        v = number(w[3])
        for (l = 0; l <= 32; l++) { p = at(w[1] SUBSEP w[2] SUBSEP, v, l); there[p] += seen[key]; going[p] += cut[key] }
      }
      for (i = 1; i <= n; i++) {
        f = fs[i]; line = "-s " ss[i] " -d " ds[i] " -p " ps[i] " " ends[i]
        if (f != "" && f != UNMARKED && whole(f)) line = f
        else if (f != "" && whole(f SUBSEP ss[i])) line = f " -s " ss[i]
        else if (f != "") line = f " -s " ss[i] " -d " widest(f SUBSEP ss[i] SUBSEP, number(ds[i]))
        if (!(line in told)) print line > deletions
        told[line]
      }
    }' || return 1
  [ -f $T/cut-failed ] && { cat $T/cut-err >&2; return 1; }
  if [ -f $T/cut-members ]; then ipset -exist restore < $T/cut-members || return 1; fi
  if [ -f $T/cut-deletions ]; then
    while read -r line; do egw_delete $line || return 1; done < $T/cut-deletions > $T/cut-gone
  fi
  egw_cut_flows || return 1
  # What began between the list and its deletion is in what conntrack says that it deleted, and in no list.
  [ -s $T/cut-gone ] && awk -v members=$T/cut-members -v opened=$T/cut-open -v refuses="$(grep -c ' refuse$' "$1")" '${READ_LINE}
    BEGIN {
      while ((getline line < members) > 0) { split(line, w, " "); known[w[2], w[3]] = 1 }
      while ((getline line < opened) > 0) known["egw-cut-opening", line] = 1
    }
    function remember(set, more) { if (!known[set, src ",tcp:" sport "," dst]++) print "add " set " " src ",tcp:" sport "," dst more }
    $1 == "tcp" {
      read_line()
      src = orig["src"]; dst = orig["dst"]; sport = orig["sport"]; dport = orig["dport"]
      remember("egw-cut", "")
      if (refuses > 0 && $4 ~ /^SYN_(SENT|RECV)/) remember("egw-cut-opening", " comment " dport)
    }' $T/cut-gone > $T/cut-late
  [ -s $T/cut-late ] || return 0
  ipset -exist restore < $T/cut-late
}
# A cut that failed, and whose batch is undone: what still lives is forgotten again.
egw_uncut() {
  [ -f $T/cut-members ] || return 0
  awk -v gone=$T/cut-gone '
    BEGIN {
      while ((getline line < gone) > 0) {
        n = split(line, w, " "); src = dst = sport = ""
        for (i = 1; i <= n; i++) {
          if (src == "" && w[i] ~ /^src=/) src = substr(w[i], 5)
          if (dst == "" && w[i] ~ /^dst=/) dst = substr(w[i], 5)
          if (sport == "" && w[i] ~ /^sport=/) sport = substr(w[i], 7)
        }
        ended[src "," w[1] ":" (w[1] == "icmp" ? "8/0" : sport) "," dst]
      }
    }
    !($3 in ended) { print "del", $2, $3 }' $T/cut-members | ipset -exist restore
}
# That nothing was there any more is told like an error; so is one that ends by itself meanwhile, and all after it stay: again.
egw_delete() {
  n=0
  until conntrack -D "$@" 2> $T/cut-err </dev/null || grep -q ' 0 flow entries have been deleted' $T/cut-err; do
    n=$((n + 1))
    grep -q 'such conntrack doesn.t exist' $T/cut-err && [ $n -lt 1000 ] || { tail -n 3 $T/cut-err >&2; return 1; }
  done
}
egw_bury() {
  { ipset save egw-cut; ipset save egw-cut-opening; } 2>/dev/null | awk -v to="$1" '
    / packets 0 / && / comment / {
      split($3, m, ","); sub(/^tcp:/, "", m[2])
      for (i = 4; i < NF; i++) { if ($i == "timeout") t = $(i + 1); if ($i == "comment") { p = $(i + 1); gsub(/"/, "", p) } }
      print "-I -p tcp -s", m[1], "--sport", m[2], "-d", m[3], "--dport", p, "--dst-nat", to ":1 --state ESTABLISHED -u ASSURED -t", t
    }' > $T/graves || egw_full
  egw_put_in $T/graves 2> $T/err
}
# Lines of conntrack options: all in one process, which stops at the first that is there already; then one for each.
egw_put_in() {
  [ -s $1 ] || return 0
  conntrack -R $1 >/dev/null 2>&1 && return 0
  while read -r line; do
    conntrack $line >/dev/null 2> $T/put-in </dev/null || grep -q exists $T/put-in || { tail -n 3 $T/put-in >&2; return 1; }
  done < $1
}
`;
