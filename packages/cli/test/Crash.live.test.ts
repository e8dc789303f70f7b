import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as childProcess from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { commandLine } from "./command.ts"

/** Kills in a quick run of the tests, and in a long one. */
const kills = isLong ? 200 : 5
const modes = ["changed", "overwrite", "skip", "rename", "error"] as const
/** `concurrency + flushEvery` of the copy: all that one kill may cause to be done again. */
const window = 16 + 64
/** Files of a folder that are one element, in modes that tell a copy from what others have put there. */
const together = 64

const hasStrace = childProcess.spawnSync("strace", ["-V"]).status === 0

/** Makes a tree of files, folders and links, deterministic in its names. */
const makeTree = (folder: string) => {
  for (let i = 0; i < 20; i++) {
    const inner = path.join(folder, `folder-${i}`, "inner")
    fs.mkdirSync(inner, { recursive: true })
    for (let j = 0; j < 40; j++) fs.writeFileSync(path.join(inner, `file-${j}`), `${i} ${j}\n`.repeat(1 + i * j))
    fs.symlinkSync("../nowhere", path.join(inner, "link"))
  }
  fs.writeFileSync(path.join(folder, "large"), new Uint8Array(9 * 2 ** 20).fill(7))
}

/** What is in a folder: each path with its mode, time and content. */
const contentOf = (folder: string): ReadonlyArray<string> =>
  fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).toSorted().map((name) => {
    const file = path.join(folder, name)
    const stat = fs.lstatSync(file)
    const content = stat.isFile()
      ? fs.readFileSync(file).toString("base64").slice(0, 200)
      : stat.isSymbolicLink()
      ? fs.readlinkSync(file)
      : ""
    return `${name} ${stat.mode} ${stat.size} ${Math.trunc(stat.mtimeMs)} ${content}`.slice(0, 400)
  })

/**
 * How a file gets its place, over what is there or only where nothing is; what is done last to one in a folder that is
 * not seen yet; or a write of the database.
 */
type Call = "renameat" | "linkat" | "utimensat" | "pwrite64"

type Kill =
  | { readonly _tag: "AfterMillis"; readonly millis: number }
  /** At a call of the process, counted. */
  | { readonly _tag: "AtCall"; readonly call: Call; readonly nth: number }

const run = (args: ReadonlyArray<string>, kill: Kill | undefined, trace: string) =>
  Effect.callback<{ readonly code: number | null; readonly output: string }>((resume) => {
    const inject = kill?._tag === "AtCall" ? ["-e", `inject=${kill.call}:signal=KILL:when=${kill.nth}`] : []
    const strace = hasStrace
      ? ["strace", "-f", "-qq", "-y", "-e", "trace=renameat,linkat,utimensat,pwrite64", ...inject, "-o", trace]
      : []
    const child = childProcess.spawn(...commandLine(args, strace), {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true
    })
    let output = ""
    child.stdout.on("data", (data) => output += String(data))
    child.stderr.on("data", (data) => output += String(data))
    const timer = kill?._tag === "AfterMillis"
      ? setTimeout(() => child.pid !== undefined && process.kill(-child.pid, "SIGKILL"), kill.millis)
      : undefined
    child.on("close", (code) => {
      clearTimeout(timer)
      resume(Effect.succeed({ code, output }))
    })
  })

/** Targets that were renamed into place, as the kernel saw it. */
const renames = (trace: string): ReadonlyArray<string> =>
  fs.existsSync(trace)
    ? Array.from(
      // The folder that each name is in is told by `-y`.
      fs.readFileSync(trace, "utf8").matchAll(
        /(?:rename|link)at\(\w+<[^>]*>, "[^"]*", \d+<([^>]*)>, "([^"]*)"(?:, [A-Z0-9_|]+)?\) += 0/g
      ),
      ([, folder = "", name = ""]) => `${folder}/${name}`
    )
    : []

const chooseKill = Effect.fnUntraced(function*(mode: typeof modes[number], round: number) {
  // Half of the kills come at chosen points.
  if (hasStrace && round % 2 === 0) {
    // Only a copy that goes on meets files that it may replace.
    const isOver = mode === "overwrite" && round % 8 === 4
    const place: Call = mode === "changed" ? "utimensat" : isOver ? "renameat" : "linkat"
    const call = round % 4 === 0 ? place : "pwrite64"
    // Calls are counted for each thread.
    return { _tag: "AtCall", call, nth: yield* Random.nextIntBetween(1, call === "pwrite64" ? 40 : 60) } as const
  }
  return { _tag: "AfterMillis", millis: yield* Random.nextIntBetween(600, 2500) } as const
})

/** Most kills of one copy before it is left to end. */
const killsOfOne = 5

/** One copy from its start through kills to its end; gives how often it was killed. */
const killAndGoOn = Effect.fnUntraced(function*(mode: typeof modes[number], most: number, firstRound: number) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "fanout-crash-"))
  const at = (name: string) => path.join(folder, name)
  makeTree(at("source"))
  const args = ["copy", "--db", at("db/jobs.db"), "--conflict", mode, at("source"), at("target")]
  const renamed = new Map<string, number>()
  const attempt = Effect.fnUntraced(function*(kill: Kill | undefined) {
    const { code, output } = yield* run(args, kill, at("trace"))
    for (const to of renames(at("trace"))) renamed.set(to, (renamed.get(to) ?? 0) + 1)
    // The same command after the end would be another copy.
    const list = yield* run(["jobs", "list", "--json", "--db", at("db/jobs.db")], undefined, at("list"))
    return { code, output, isDone: list.output.includes(`"Completed"`) }
  })

  let killed = 0
  let isDone = false
  for (let round = firstRound; killed < most && !isDone; round++) {
    const last = yield* attempt(yield* chooseKill(mode, round))
    isDone = last.isDone
    if (last.code !== 0) killed++
  }
  if (!isDone) {
    const { code, output } = yield* attempt(undefined)
    assert.strictEqual(code, 0, output)
  }

  assert.deepStrictEqual(contentOf(at("target")), contentOf(at("source")))
  const twice = Array.from(renamed.values()).reduce((sum, times) => sum + times - 1, 0)
  const each = mode === "changed" || mode === "overwrite" ? together : 1
  assert.isAtMost(twice, window * each * killed, "files renamed into place more than once")
  fs.rmSync(folder, { recursive: true })
  return killed
})

describe("a copy that is killed", () => {
  it.live.each(modes)("ends well when it is started again, with --conflict %s", (mode) =>
    Effect.gen(function*() {
      const wanted = Math.ceil(kills / modes.length)
      // A copy that ends before it was killed does not count; too many of them and the kills are chosen badly.
      for (let copies = 0, left = wanted; left > 0; copies++) {
        assert.isBelow(copies, 4 * wanted)
        left -= yield* killAndGoOn(mode, Math.min(left, killsOfOne), copies)
      }
    }).pipe(Random.withSeed(`crash ${mode}`)), 1_800_000)
})
