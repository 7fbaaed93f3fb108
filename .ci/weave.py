"""Weaves every mutant that cargo-mutants lists into one copy of the sources, runs the tests on each.

One build instead of one for each mutant: `EVENKEEL_MUTANT=n` switches the n-th on. Called by
`.ci/mutants`; needs tree-sitter and tree-sitter-rust.

    weave.py weave LIST SOURCE TREE        writes TREE, leaving out what does not compile
    weave.py run TREE OUT SECONDS [PART]   runs the tests on each mutant, or on part i/n of them
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import tree_sitter_rust
from tree_sitter import Language, Parser

SWITCH = """
/// Which mutant is on, and which are reached by which test.
#[doc(hidden)]
#[allow(missing_docs, clippy::all)]
pub mod mutant {
    use std::io::Write;
    static ON: std::sync::LazyLock<u32> = std::sync::LazyLock::new(|| {
        std::env::var("EVENKEEL_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(0)
    });
    static REACHED: std::sync::LazyLock<Option<std::fs::File>> = std::sync::LazyLock::new(|| {
        let path = std::env::var_os("EVENKEEL_REACHED")?;
        std::fs::File::options().create(true).append(true).open(path).ok()
    });
    thread_local! {
        static SEEN: std::cell::RefCell<std::collections::HashSet<u32>> = Default::default();
    }
    pub fn is(n: u32) -> bool {
        if let Some(mut file) = REACHED.as_ref()
            && SEEN.with_borrow_mut(|seen| seen.insert(n))
        {
            let thread = std::thread::current();
            let line = format!("{n} {}\\n", thread.name().unwrap_or("?"));
            file.write_all(line.as_bytes()).unwrap();
        }
        *ON == n
    }
}
"""
LIBRARY = ["cargo", "build", "--lib", "--message-format=json"]
TESTS = ["cargo", "test", "--no-run", "--lib", "--test", "it", "--message-format=json"]
# Stories in tests/it are most of what is known of orders; sockets and processes say little about
# a comparison and cost minutes.
FILTERS = {
    "lib": ["orders::", "risk::", "inventory::", "market::", "engine::"],
    "it": ["engine::", "golden::", "hedging::", "market::"],
}


class Weaver:
    """One file with the mutants `found`: (number, entry of the list)."""

    def __init__(self, text, found):
        self.source = text.encode()
        lines = text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line.encode()) + 1)
        place = lambda at: starts[at["line"] - 1] + len(
            lines[at["line"] - 1][: at["column"] - 1].encode()
        )
        self.at = collections.defaultdict(list)
        for number, entry in found:
            self.at[(entry["genre"], place(entry["span"]["start"]))].append((number, entry))
        self.woven = set()

    def weave(self):
        root = Parser(Language(tree_sitter_rust.language())).parse(self.source).root_node
        return self.render(root)

    def take(self, genre, start):
        taken = self.at.get((genre, start), [])
        self.woven |= {number for number, _ in taken}
        return taken

    def render(self, node):
        """The text of a node with every mutant below it."""
        wrapped = getattr(self, "on_" + node.type, None)
        text = wrapped(node) if wrapped else None
        return self.plain(node) if text is None else text

    def plain(self, node, instead=None):
        """The text of a node, the children in `instead` (by id) replaced."""
        parts, at = [], node.start_byte
        for child in node.children:
            parts.append(self.source[at : child.start_byte].decode())
            given = (instead or {}).get(child.id)
            parts.append(self.render(child) if given is None else given)
            at = child.end_byte
        parts.append(self.source[at : node.end_byte].decode())
        return "".join(parts)

    @staticmethod
    def either(mutants, otherwise, form="{}"):
        """`if` the first mutant is on … else what the source says; marked for `culprits`."""
        text = "".join(
            f"if crate::mutant::is({n}) {{ /*<{n}*/ {form.format(new)} /*{n}>*/ }} else "
            for n, new in mutants
        )
        return f"{text}{{ {otherwise} }}"

    @staticmethod
    def marked(mutants, text):
        numbers = "_".join(str(number) for number, _ in mutants)
        return f"/*[{numbers}*/{text}/*{numbers}]*/"

    def operation(self, node):
        """The mutants of an operator, its sign, and both sides; None where it has no mutant."""
        operator = node.child_by_field_name("operator")
        taken = self.take("BinaryOperator", operator.start_byte)
        if not taken:
            return None
        left, right = (self.render(node.child_by_field_name(side)) for side in ("left", "right"))
        return taken, operator.text.decode(), left, right

    def on_binary_expression(self, node):
        operation = self.operation(node)
        if not operation:
            return None
        taken, sign, left, right = operation
        if sign in ("&&", "||"):
            # The other operator goes on where this one stops.
            number = taken[0][0]
            stops = f"crate::mutant::is({number})" if sign == "&&" else f"!crate::mutant::is({number})"
            return self.marked(taken, f"(match ({left}) {{ l => if l == {stops} {{ l }} else {{ {right} }} }})")
        by = "&" if sign in ("==", "!=", "<", ">", "<=", ">=") else ""
        both = [(number, f"l {entry['replacement'].strip()} r") for number, entry in taken]
        return self.marked(
            taken,
            f"(match ({by}({left}), {by}({right})) {{ (l, r) => {self.either(both, f'l {sign} r')} }})",
        )

    def on_compound_assignment_expr(self, node):
        operation = self.operation(node)
        if not operation:
            return None
        taken, sign, left, right = operation
        every = [(n, f"{left} {entry['replacement'].strip()} {right};") for n, entry in taken]
        text = self.either(every, f"{left} {sign} {right};")
        return self.marked(taken, f"{{ {text} }}")

    def on_unary_expression(self, node):
        taken = self.take("UnaryOperator", node.start_byte)
        if not taken:
            return None
        sign, operand = node.children[0].text.decode(), self.render(node.children[-1])
        number = taken[0][0]
        if sign == "!":
            return self.marked(taken, f"(crate::mutant::is({number}) != !({operand}))")
        return self.marked(
            taken, f"(match ({operand}) {{ v => {self.either([(number, 'v')], '-v')} }})"
        )

    def on_function_item(self, node):
        body = node.child_by_field_name("body")
        statements = [c for c in body.named_children if "comment" not in c.type]
        result = node.child_by_field_name("return_type")
        # A returned `impl …` is one type: another cannot be returned beside it.
        if not statements or (result and "impl " in result.text.decode()):
            return None
        taken = self.take("FnValue", statements[0].start_byte)
        if not taken:
            return None
        every = "".join(
            f" if crate::mutant::is({n}) {{ /*<{n}*/ return {entry['replacement']}; /*{n}>*/ }}"
            for n, entry in taken
        )
        return self.plain(node, {body.id: "{" + every + self.plain(body)[1:]})

    def on_match_arm(self, node):
        taken = self.take("MatchArm", node.start_byte)
        pattern = node.child_by_field_name("pattern")
        guard = pattern.child_by_field_name("condition")
        if taken:
            number = taken[0][0]
            guarded = self.marked(taken, f"{self.plain(pattern)} if !crate::mutant::is({number})")
            return self.plain(node, {pattern.id: guarded})
        taken = self.take("MatchArmGuard", guard.start_byte) if guard else []
        if not taken:
            return None
        on = {entry["replacement"].strip(): f"crate::mutant::is({n})" for n, entry in taken}
        text = f"({on['true']} || (!{on['false']} && ({self.render(guard)})))"
        guarded = self.marked(taken, self.plain(pattern, {guard.id: text}))
        return self.plain(node, {pattern.id: guarded})


def culprits(text, at):
    """The mutants whose own text a byte is in, or else those of the innermost place."""
    best = None
    for opening, closing, own in ((r"/\*<(\d+)\*/", "/*{}>*/", True), (r"/\*\[([\d_]+)\*/", "/*{}]*/", False)):
        for match in re.finditer(opening, text):
            end = text.find(closing.format(match[1]), match.end())
            if match.start() <= at <= end and (best is None or end - match.start() < best[0]):
                best = (end - match.start(), [int(number) for number in match[1].split("_")])
        if best and own:
            break
    return best[1] if best else []


def built(tree, command):
    """Test binaries by name and compiler errors as (file, byte)."""
    done = subprocess.run(command, cwd=tree, stdout=subprocess.PIPE, text=True, check=False)
    binaries, errors = {}, []
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message.get("executable"):
            name = "it" if message["target"]["name"] == "it" else "lib"
            if message["profile"]["test"]:
                binaries[name] = message["executable"]
        elif message["reason"] == "compiler-message" and message["message"]["level"] == "error":
            spans = message["message"]["spans"]
            # What a macro of another crate does is the fault of where it is used.
            found = []
            for span in (span for span in spans if span["is_primary"]):
                while span["expansion"] and not (tree / span["file_name"]).is_file():
                    span = span["expansion"]["span"]
                if (tree / span["file_name"]).is_file():
                    found.append((span["file_name"], span["byte_start"]))
            errors.append((message["message"]["message"], found))
    return done.returncode, binaries, errors


def weave(listed, source, tree):
    entries = list(enumerate(json.loads(pathlib.Path(listed).read_text()), 1))
    # What did not compile the last time will not this time; a name that is new is tried.
    known = tree / "left-out.json"
    names = json.loads(known.read_text()) if known.exists() else []
    dropped = {number for number, entry in entries if entry["name"] in names}
    lib = tree / "src/lib.rs"
    lib.write_text((source / "src/lib.rs").read_text() + SWITCH)
    for attempt in range(20):
        woven = set()
        for file in sorted({entry["file"] for _, entry in entries}):
            found = [(n, e) for n, e in entries if e["file"] == file and n not in dropped]
            weaver = Weaver((source / file).read_text(), found)
            text = weaver.weave()
            woven |= weaver.woven
            if (tree / file).read_text() != text:
                (tree / file).write_text(text)
        code, binaries, errors = built(tree, LIBRARY)
        if code == 0:
            break
        before = len(dropped)
        for text, places in errors:
            for file, byte in places:
                content = (tree / file).read_bytes()
                found = culprits(content.decode(), len(content[:byte].decode()))
                dropped |= set(found)
                if not found:
                    print(f"cannot place: {text} in {file} at {byte}", file=sys.stderr)
        print(f"attempt {attempt}: {len(errors)} errors, {len(dropped)} left out", file=sys.stderr)
        if len(dropped) == before:
            sys.exit("the woven sources do not compile")
    else:
        sys.exit("the woven sources still do not compile")
    code, binaries, errors = built(tree, TESTS)
    if code:
        sys.exit(f"the tests do not compile: {errors}")
    names = {n: entry["name"] for n, entry in entries}
    plan = {
        "binaries": binaries,
        "mutants": [[n, names[n]] for n in sorted(woven)],
        "left_out": [names[n] for n in sorted(set(names) - woven)],
    }
    (tree / "mutants.json").write_text(json.dumps(plan, indent=1))
    known.write_text(json.dumps(plan["left_out"], indent=1))
    print(f"{len(entries)} listed, {len(woven)} woven, {len(plan['left_out'])} left out")


def reached(plan, tree, out):
    """For each test binary and mutant the tests that reach it; `?` is a thread of no test."""
    tests = {}
    for name, binary in plan["binaries"].items():
        trace = out / f"reached-{name}.txt"
        trace.unlink(missing_ok=True)
        # With two threads or more every test runs on one that is named for it.
        command = [binary, "--test-threads=2", "-q", *FILTERS[name]]
        environment = {**os.environ, "EVENKEEL_REACHED": str(trace)}
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, check=False)
        if done.returncode:
            sys.exit(f"the tests fail without any mutant:\n{done.stdout.decode()[-2000:]}")
        found = collections.defaultdict(set)
        for line in trace.read_text().splitlines():
            number, test = line.split(" ", 1)
            found[int(number)].add(test)
        tests[name] = found
    return tests


def outcome(plan, tree, tests, number, seconds):
    """`caught`, `timeout` or `missed`; `unreached` is a miss without a run."""
    what = "unreached"
    for name, binary in plan["binaries"].items():
        wanted = tests[name].get(number)
        if not wanted:
            continue
        what = "missed"
        only = FILTERS[name] if "?" in wanted else ["--exact", *sorted(wanted)]
        command = [binary, "--test-threads=1", "-q", *only]
        environment = {**os.environ, "EVENKEEL_MUTANT": str(number)}
        try:
            done = subprocess.run(
                command, cwd=tree, env=environment, timeout=seconds, capture_output=True, check=False
            )
        except subprocess.TimeoutExpired:
            return "timeout"
        if done.returncode:
            return "caught"
    return what


def run(tree, out, seconds, part):
    plan = json.loads((tree / "mutants.json").read_text())
    began = time.monotonic()
    index, parts = (int(word) for word in part.split("/"))
    traces = out / f"reached-{index}-of-{parts}"
    traces.mkdir(exist_ok=True)
    tests = reached(plan, tree, traces)
    print(f"without a mutant: {time.monotonic() - began:.1f} s", flush=True)
    score = collections.Counter()
    with (out / f"outcomes-{index}-of-{parts}.txt").open("w") as file:
        for number, name in plan["mutants"][index::parts]:
            what = outcome(plan, tree, tests, number, seconds)
            score[what] += 1
            print(f"{what}\t{name}", file=file, flush=True)
    caught = score["caught"] + score["timeout"]
    print(f"{caught} of {score.total()} caught ({score['timeout']} by time): "
          f"{100 * caught / max(score.total(), 1):.1f} %")


if __name__ == "__main__":
    if sys.argv[1] == "weave":
        weave(sys.argv[2], pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4]))
    else:
        run(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]), float(sys.argv[4]),
            sys.argv[5] if len(sys.argv) > 5 else "0/1")
