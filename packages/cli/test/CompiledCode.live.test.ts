import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { command } from "./command.ts"

let folder: string
let cache: string

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-compiled-"))
  cache = path.join(folder, "cache/fanout")
  fs.mkdirSync(path.dirname(cache))
  const module = pathToFileURL(path.join(import.meta.dirname, "../src/CompiledCode.ts")).href
  fs.writeFileSync(
    path.join(folder, "run.mjs"),
    `import { load } from "${module}"
    const file = process.argv[2]
    console.log(load({ file, label: "x", keepLater: (keep) => process.once("exit", keep) })().answer())`
  )
})

afterEach(() => fs.rmSync(folder, { recursive: true }))

/** A file of code that answers with a number of two digits. */
const code = (answer: number): string => {
  const file = path.join(folder, "x.code.cjs")
  fs.writeFileSync(file, `// content${answer}\n(function (exports) { exports.answer = () => ${answer} })\n`)
  return file
}

/** Node has none of the flags that Vitest gives to its own processes: with those V8 takes nothing else. */
const env = () => ({ PATH: process.env["PATH"], HOME: folder, XDG_CACHE_HOME: path.dirname(cache) })

const run = (file: string, more: NodeJS.ProcessEnv = {}) => {
  const { signal, status, stderr, stdout } = spawnSync(
    process.execPath,
    [path.join(folder, "run.mjs"), file],
    { encoding: "utf8", env: { ...env(), ...more } }
  )
  return { signal, status, stderr, stdout }
}

const said = (answer: number) => ({ signal: null, status: 0, stderr: "", stdout: `${answer}\n` })
const kept = (): ReadonlyArray<string> => fs.existsSync(cache) ? fs.readdirSync(cache).toSorted() : []
const modeOf = (file: string): number => fs.statSync(file).mode & 0o777

/**
 * Has what was compiled of a file that answers 41 in the place of what is compiled of the one that answers 42, of the
 * same length. So it tells by its answer whether it was taken. Gives its path.
 */
const exchange = (): string => {
  assert.deepStrictEqual(run(code(41)), said(41))
  const [name = ""] = kept()
  const file = path.join(cache, name.replace("content41", "content42"))
  fs.renameSync(path.join(cache, name), file)
  return file
}

describe("CompiledCode", () => {
  it("keeps what was compiled for this user alone, and takes it in the next process", () => {
    const file = exchange()

    assert.deepStrictEqual(run(code(42)), said(41))

    assert.deepStrictEqual([modeOf(cache), modeOf(file)], [0o700, 0o600])
    assert.lengthOf(kept(), 1)
  })

  it("compiles what has another content", () => {
    exchange()

    assert.deepStrictEqual(run(code(43)), said(43))
    assert.lengthOf(kept(), 2)
  })

  it.each([
    ["a folder that others can write to", () => fs.chmodSync(cache, 0o770)],
    ["a folder above that others can write to", () => fs.chmodSync(path.dirname(cache), 0o777)],
    ["a file that others can write to", (file: string) => fs.chmodSync(file, 0o602)],
    ["a link", (file: string) => {
      fs.renameSync(file, path.join(folder, "elsewhere"))
      fs.symlinkSync(path.join(folder, "elsewhere"), file)
    }]
  ])("takes nothing from %s", (_, expose) => {
    expose(exchange())

    assert.deepStrictEqual(run(code(42)), said(42))
  })

  it.runIf(process.geteuid?.() === 0).each([
    ["folder", () => cache],
    ["folder above", () => path.dirname(cache)],
    ["file", (file: string) => file]
  ])("takes nothing from a %s of somebody else's", (_, of) => {
    fs.chownSync(of(exchange()), 65_534, 65_534)

    assert.deepStrictEqual(run(code(42)), said(42))
  })

  it.runIf(process.geteuid?.() === 0)("makes no folder where somebody else is at home", () => {
    fs.chownSync(path.dirname(cache), 65_534, 65_534)

    assert.deepStrictEqual(run(code(42)), said(42))
    assert.isFalse(fs.existsSync(cache))
  })

  it.each([
    ["is cut off", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2)],
    ["has lost its second half", (bytes: Buffer) => bytes.fill(0, bytes.length / 2)],
    ["is empty", () => Buffer.alloc(0)]
  ])("compiles again where what was kept %s, and keeps that", (_, damage) => {
    const file = exchange()
    fs.writeFileSync(file, damage(fs.readFileSync(file)))

    assert.deepStrictEqual(run(code(42)), said(42))
    fs.renameSync(file, file.replace("content42", "content43"))

    assert.deepStrictEqual(run(code(43)), said(42))
  })

  it("imports modules for what it runs, from where that is", () => {
    const file = path.join(folder, "x.code.cjs")
    const answer = "() => load('node:path').then(({ sep }) => console.log(sep)) && 42"
    fs.writeFileSync(file, `// content\n(function (exports, r, m, f, d, load) { exports.answer = ${answer} })\n`)

    assert.deepStrictEqual(run(file), { ...said(42), stdout: `42\n${path.sep}\n` })
  })

  it("says nothing where nothing can be kept", () => {
    fs.writeFileSync(cache, "")

    assert.deepStrictEqual(run(code(42)), said(42))
    assert.deepStrictEqual(run(code(42), { XDG_CACHE_HOME: "/proc/nowhere" }), said(42))
  })

  it("leaves nothing unfinished where it can't put that in its place", () => {
    const file = exchange()
    fs.rmSync(file)
    fs.mkdirSync(file)

    assert.deepStrictEqual(run(code(42)), said(42))
    assert.deepStrictEqual(kept(), [path.basename(file)])
  })

  it("neither takes nor keeps anything where Node is told not to", () => {
    exchange()

    assert.deepStrictEqual(run(code(42), { NODE_DISABLE_COMPILE_CACHE: "1" }), said(42))
    assert.deepStrictEqual(run(code(43), { NODE_DISABLE_COMPILE_CACHE: "1" }), said(43))
    assert.lengthOf(kept(), 1)
  })

  it("goes to the folder of the home where that of XDG is not absolute", () => {
    assert.deepStrictEqual(run(code(42), { XDG_CACHE_HOME: "cache" }), said(42))

    assert.lengthOf(fs.readdirSync(path.join(folder, ".cache/fanout")), 1)
  })

  it.runIf(process.geteuid?.() === 0)("does without for a user that the system knows nothing of", () => {
    const file = code(42)
    fs.chmodSync(folder, 0o755)

    const { status, stderr, stdout } = spawnSync(process.execPath, [path.join(folder, "run.mjs"), file], {
      encoding: "utf8",
      env: {},
      uid: 54_321
    })

    assert.deepStrictEqual({ signal: null, status, stderr, stdout }, said(42))
  })

  it("forgets the oldest of many", () => {
    fs.mkdirSync(cache, { mode: 0o700 })
    for (let i = 0; i < 30; i++) {
      fs.writeFileSync(path.join(cache, `old${i}`), "")
      fs.utimesSync(path.join(cache, `old${i}`), 1000 + i, 1000 + i)
    }

    assert.deepStrictEqual(run(code(42)), said(42))

    const names = kept()
    assert.lengthOf(names, 26)
    assert.notInclude(names, "old4")
    assert.include(names, "old5")
    assert.isTrue(names.some((name) => name.startsWith("x-content42-")))
  })

  it("keeps one of many that are compiled at the same time", async () => {
    const file = code(42)
    const all = Array.from({ length: 6 }, () =>
      new Promise<number | null>((resolve) => {
        const child = spawn(process.execPath, [path.join(folder, "run.mjs"), file], { env: env() })
        child.on("exit", resolve)
      }))

    assert.deepStrictEqual(await Promise.all(all), [0, 0, 0, 0, 0, 0])

    const [name = "", ...others] = kept()
    assert.deepStrictEqual(others, [])
    fs.renameSync(path.join(cache, name), path.join(cache, name.replace("content42", "content43")))
    assert.deepStrictEqual(run(code(43)), said(42))
  })
})

describe("the command", () => {
  const [node, launcher] = command

  /** The SHA-256 of 64 MiB of zeros. */
  const zeros = { bytes: 64 * 1024 * 1024, sum: "3b6a07d0d404fab4e23b6d34bc6696a6a312dd92821332385e5af7c01c421351" }

  /**
   * Checks a file, and gives the one that has this kind of compiled code. A path that leads upwards is for a thread,
   * and so much keeps it busy for longer than it takes to start.
   */
  const check = (kind: string) => {
    const large = path.join(folder, "large")
    fs.writeFileSync(large, "")
    fs.truncateSync(large, zeros.bytes)
    const sums = path.join(folder, "sums")
    fs.writeFileSync(sums, `${zeros.sum}  ${folder}/../${path.basename(folder)}/large\n`)
    const { status, stderr } = spawnSync(
      node,
      [launcher, "hash", "--check", sums, "--quiet", "--db", path.join(folder, "jobs.db")],
      { encoding: "utf8", env: env() }
    )
    assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
    const found = kept().filter((name) => name.startsWith(`${kind}-`))
    assert.lengthOf(found, 1, kind)
    const { ino, size } = fs.statSync(path.join(cache, found[0] ?? ""))
    return { ino, size }
  }

  it.each(["fanout-hash", "thread"])("takes what was compiled of %s by the one before", (kind) => {
    const first = check(kind)

    assert.isAbove(first.size, 100_000)
    assert.deepStrictEqual(check(kind), first)
  })

  it("keeps nothing of what has failed", () => {
    const { status } = spawnSync(node, [launcher, "copy", "--nonsense"], { env: env() })

    assert.strictEqual(status, 2)
    assert.deepStrictEqual(kept(), [])
  })
})
