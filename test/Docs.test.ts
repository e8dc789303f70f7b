import { assert, describe, it } from "@effect/vitest"
import * as JobState from "@fanout/core/JobState"
import * as Option from "effect/Option"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

// What the page about the life of a job draws and lists is what the code does.
const root = path.join(import.meta.dirname, "..")
const page = fs.readFileSync(path.join(root, "docs/job-lifecycle.md"), "utf8")

const wait: JobState.Wait = { by: "network", since: 0, looks: 0 }

const states: ReadonlyArray<JobState.JobState> = [
  { _tag: "Queued", attempt: 1, tries: 0, waits: wait },
  ...JobState.Tag.literals.map((_tag) =>
    _tag === "Paused" ? { _tag, attempt: 1, tries: 0, by: "person" } : { _tag, attempt: 1, tries: 0 }
  ),
  { _tag: "Running", attempt: 1, tries: 0, waits: wait }
]

/** Every transition by the name that the diagram gives it. */
const transitions: Readonly<Record<string, JobState.Transition>> = {
  Claimed: { _tag: "Claimed" },
  Succeeded: { _tag: "Succeeded", withErrors: false },
  "Succeeded withErrors": { _tag: "Succeeded", withErrors: true },
  Failed: { _tag: "Failed" },
  Backoff: { _tag: "Backoff", at: 0 },
  Paused: { _tag: "Paused", by: "person" },
  Waits: { _tag: "Waits", wait },
  Resumed: { _tag: "Resumed" },
  Released: { _tag: "Released", why: "Shutdown" },
  Retried: { _tag: "Retried" },
  AskedToCancel: { _tag: "AskedToCancel" },
  Cancelled: { _tag: "Cancelled" },
  Abandoned: { _tag: "Abandoned" }
}

/** Every step that the code allows, as `from --> to: transition`. */
const allowed = Array.from(
  new Set(
    states.flatMap((state) =>
      Object.entries(transitions).flatMap(([name, transition]) =>
        Option.match(JobState.transition(state, transition), {
          onNone: () => [],
          onSome: (next) => [`${state._tag} --> ${next._tag}: ${name}`]
        })
      )
    )
  )
)

describe("docs/job-lifecycle.md", () => {
  it("draws every step that the code allows, and no other", () => {
    const [, diagram = ""] = page.split("```mermaid")
    const drawn = Array.from(diagram.matchAll(/^ +(\w+ --> \w+): (.+)$/gm))
      .flatMap(([, arrow, names = ""]) => names.split(", ").map((name) => `${arrow}: ${name}`))

    assert.sameMembers(drawn, allowed)
  })

  it("lists for every transition the states that it leaves", () => {
    const listed = Array.from(page.matchAll(/^\| `(\w+)` +\| ([\w, ]+?) +\|/gm), ([, name, from]) => `${name}: ${from}`)
    const expected = Object.entries(transitions).filter(([name]) => !name.includes(" ")).map(([name]) => {
      const from = allowed.filter((step) => step.endsWith(`: ${name}`)).map((step) => step.split(" ", 1)[0])
      return `${name}: ${from.join(", ")}`
    })

    assert.sameMembers(listed, expected)
  })
})

describe("docs/operating.md", () => {
  it("lists every metric there is, and no other", () => {
    const sources = fs.globSync("packages/core/src/internal/**/*.ts", { cwd: root })
    const names = (file: string, pattern: RegExp) =>
      Array.from(fs.readFileSync(path.join(root, file), "utf8").matchAll(pattern), ([, name = ""]) => name)
    const counted = sources.flatMap((file) => names(file, /Metric\.\w+\("(fanout_\w+)"/g))
    assert.deepStrictEqual(names("docs/operating.md", /^\| `(fanout_\w+)`/gm).toSorted(), counted.toSorted())
  })

  it.skipIf(spawnSync("systemd-analyze", ["--version"]).status !== 0)("has units that systemd understands", () => {
    const text = fs.readFileSync(path.join(root, "docs/operating.md"), "utf8")
    const units = Array.from(text.matchAll(/^```ini\n([\s\S]*?)^```/gm), ([, unit = ""]) => unit)
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-units-"))
    const verified = units.map((unit) => {
      const file = path.join(folder, "fanout.service")
      fs.writeFileSync(file, unit)
      const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", file], { encoding: "utf8" })
      return [status, stderr]
    })
    fs.rmSync(folder, { recursive: true })
    assert.deepStrictEqual(verified, [[0, ""], [0, ""]])
  })
})

describe("docs/comparison.md", () => {
  const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")
  const programs = Array.from(
    read("docs/comparison.md").matchAll(/^<!-- file: (\S+) -->\n\n```ts\n([\s\S]*?)^```/gm),
    ([, file = "", shown = ""]) => ({ file, shown })
  )

  it("shows the programs that are run, without their imports", () => {
    const folder = path.join(root, "docs/compare")
    const helpers = new Set(["run.ts", "work.ts"])
    const files = fs.globSync("*.ts", { cwd: folder }).filter((name) => !helpers.has(name))
    assert.sameMembers(programs.map(({ file }) => file), files.map((name) => `compare/${name}`))
    for (const { file, shown } of programs) {
      assert.strictEqual(shown, read(`docs/${file}`).replaceAll(/^import .*\n/gm, "").trimStart(), file)
    }
  })

  it("compares the program of the README, with a call and a limit", () => {
    const [, after = ""] = read("README.md").split("<!-- runs in CI: readme-program -->")
    const [, program = ""] = /```ts\n([\s\S]*?)^```/m.exec(after) ?? []
    const compared = program
      .replace("Effect.succeed(n * n), {", "Effect.promise(() => work(n)), {")
      .replace("success: Schema.Int })", "success: Schema.Int, concurrency: 8 })")
      .replace(/console\.log\(.*\)/, "console.log(JSON.stringify(squares))")
    const words = (text: string): string => text.replaceAll(/^import .*\n/gm, "").replaceAll(/\s+/g, "")
    assert.strictEqual(words(read("docs/compare/fanout.ts")), words(compared))
  })
})
