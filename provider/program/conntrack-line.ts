/**
 * awk: read_line() reads a line of `conntrack -L`, or of what is printed like one: into `orig` the first of each name, which is of the way of
 * whoever began, and into `reply` the last one, of the way of the answers.
 */
export const READ_LINE = `
    function read_line(  i, eq, name) {
      for (name in orig) delete orig[name]
      for (name in reply) delete reply[name]
      for (i = 2; i <= NF; i++) {
        eq = index($i, "="); name = substr($i, 1, eq - 1)
        if (name == "") continue
        reply[name] = substr($i, eq + 1)
        if (!(name in orig)) orig[name] = reply[name]
      }
    }`;
