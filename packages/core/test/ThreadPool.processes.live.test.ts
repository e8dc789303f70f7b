import { assert, describe, it } from "@effect/vitest"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { layerProcesses, ThreadsUnavailable } from "@fanout/core/threads"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import { startStopwatch } from "../../../test/stopwatch.ts"
import type { Options } from "../src/internal/threads/poolLayer.ts"
import { asRun, pools, runningJob } from "./fanOutHarness.ts"
import { outcomesOf } from "./FanOutLaws.ts"
import { deterministic, outcomeOfActs, sourceOf } from "./threadActs.ts"
import { Act, Bytes, handlers, Tasks } from "./threadTasks.ts"

let marks = 0
/** Something to know processes by. */
const newMark = () => `fanout-mark-${process.pid}-${marks++}`

const processes = (
  { mark = "", module = "./threadChild.ts", ...options }: Options & {
    readonly mark?: string
    readonly module?: string
  } = {}
) =>
  layerProcesses(Tasks, {
    size: 2,
    ...options,
    module: new URL(module, import.meta.url),
    argv: ["", mark],
    execArgv: ["--conditions=@fanout/source"],
    resourceLimits: { maxOldGenerationSizeMb: 32 }
  })

const app = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
  Layer.merge(tasks, TaskDispatcher.layer.pipe(Layer.provide(Pools.layer())))

const run = (act: string, n = 1) => TaskDispatcher.TaskDispatcher.use((_) => _.run(Act, { n, act }))

const isAlive = (pid: number): boolean => {
  try {
    // One that has ended and was not waited for is no process any more.
    return !/^State:\sZ/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Processes that were started with a mark. */
const marked = (mark: string): ReadonlyArray<number> =>
  fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark) && isAlive(pid)
    } catch {
      return false
    }
  })

const isWritable = (file: string): boolean => {
  try {
    fs.accessSync(file, fs.constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** Groups of processes whose memory can be limited. */
const groups = "/sys/fs/cgroup/memory"
const canLimit = fs.existsSync(`${groups}/memory.limit_in_bytes`) && isWritable(groups)

/** Waits until something holds, for a second. */
const soon = async (holds: () => boolean) => {
  for (let i = 0; i < 100 && !holds(); i++) await new Promise((resolve) => void setTimeout(resolve, 10))
  return holds()
}

/** Children of a process, whichever of its threads has started them. */
const childrenOf = (pid: number): ReadonlyArray<number> =>
  fs.readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => fs.readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").match(/\d+/g) ?? [])
    .map(Number)

const owner = (act: string, mark: string) =>
  spawn(process.execPath, [
    "--conditions=@fanout/source",
    path.join(import.meta.dirname, "processOwnerChild.ts"),
    act,
    mark
  ], { detached: true, stdio: ["ignore", "pipe", "inherit"] })

/** Runs acts as a fan-out, and gives what it came to and the failures in their order. */
const fanOut = (id: string, acts: ReadonlyArray<string>, concurrency = 4) =>
  Effect.gen(function*() {
    yield* runningJob(id)
    const { exit } = yield* asRun(
      id,
      () => TaskDispatcher.TaskDispatcher.use((_) => _.fanOut("acts", Act, sourceOf(acts), { concurrency }))
    )
    const rows = yield* outcomesOf(id)
    const failures = rows.flatMap(([, { key, outcome }]) =>
      outcome._tag === "Failed" ? [[Number(key), outcome.failure._tag, Outcome.message(outcome.failure)] as const] : []
    ).toSorted(([a], [b]) => a - b)
    return { tally: Exit.isSuccess(exit) ? [exit.value.done, exit.value.failed] : exit, failures }
  })

describe.runIf(process.platform === "linux")("ThreadPool of processes", () => {
  it.live.each([1, 16])("comes to the same as fibers, %d at a time", (concurrency) =>
    Effect.gen(function*() {
      const acts = Array.from({ length: 100 }, (_, n) => deterministic[(n * 7 + n % 3) % deterministic.length] ?? "")
      const comesTo = <E>(tasks: Layer.Layer<Layer.Success<ReturnType<typeof handlers>>, E>) =>
        Effect.provide(outcomeOfActs(acts, { concurrency }), [tasks, pools, MemoryJobStore.layer], { local: true })
      const plain = (come: object) => JSON.parse(JSON.stringify(come).replaceAll("\"thread\":true", "\"thread\":false"))
      assert.deepStrictEqual(plain(yield* comesTo(processes())), plain(yield* comesTo(handlers(false))))
    }))

  it.live.each([
    { act: "segfaults", tag: "Quarantined", message: "its process was killed by SIGSEGV" },
    { act: "is killed", tag: "Quarantined", message: "its process was killed by SIGKILL" },
    { act: "exits", tag: "Quarantined", message: "it exited with code 7" },
    { act: "throws", tag: "Quarantined", message: "thrown 7" },
    { act: "fills", tag: "Quarantined", message: "memory" },
    { act: "spins", tag: "Timeout", message: "longer than 1000 ms" }
  ])("loses one task of 20 that $act, and says why", ({ act, message, tag }) =>
    Effect.gen(function*() {
      const { failures, tally } = yield* fanOut(act, Array.from({ length: 20 }, (_, n) => n === 7 ? act : ""))
      assert.deepStrictEqual([tally, failures.map(([n, tag]) => [n, tag])], [[19, 1], [[7, tag]]])
      assert.include(failures[0]?.[2], message)
    }).pipe(Effect.provide([processes(), pools, MemoryJobStore.layer])))

  it.live.skipIf(!canLimit)(
    "says that the system was out of memory, and offers itself first where it is",
    () =>
      Effect.gen(function*() {
        const group = path.join(groups, newMark())
        yield* Effect.acquireRelease(
          Effect.sync(() => {
            fs.mkdirSync(group)
            fs.writeFileSync(path.join(group, "memory.limit_in_bytes"), String(2 ** 25))
          }),
          () =>
            Effect.promise(() => soon(() => fs.readFileSync(path.join(group, "cgroup.procs"), "utf8") === "")).pipe(
              Effect.andThen(Effect.sync(() => fs.rmdirSync(group)))
            )
        )
        const exit = yield* Effect.exit(run(`hoards in ${group}`))
        assert.include(String(exit), "its process was killed by SIGKILL when the system was out of memory")
        const { n: pid } = yield* run("tells its process")
        assert.strictEqual(fs.readFileSync(`/proc/${pid}/oom_score_adj`, "utf8"), "1000\n")
      }).pipe(Effect.scoped, Effect.provide(app(processes({ size: 1 }))))
  )

  const bad = isLong
    ? ["segfaults", "exits", "is killed", "spins", "spins", ...Array.from({ length: 5 }, () => "fails")]
    : ["segfaults", "spins", "fails"]
  it.live(`does all but ${bad.length} that crash, hang or fail, in time, and leaves no process`, () =>
    Effect.gen(function*() {
      const mark = newMark()
      const acts = Array.from({ length: 20 * bad.length }, (_, n) => n % 20 === 9 ? bad[(n - 9) / 20] ?? "" : "")
      const elapsed = startStopwatch()
      const { failures, tally } = yield* Effect.provide(
        fanOut("mixed", acts),
        [processes({ mark }), pools, MemoryJobStore.layer],
        { local: true }
      )
      assert.deepStrictEqual(tally, [19 * bad.length, bad.length])
      assert.deepStrictEqual(
        failures.map(([, tag]) => tag),
        bad.map((act) => act === "fails" ? "Error" : act === "spins" ? "Timeout" : "Quarantined")
      )
      // Two deadlines with their grace, one after the other, and processes that are started anew.
      assert.isBelow(elapsed(), 40_000)
      assert.deepStrictEqual(marked(mark), [])
    }))

  it.live("ends processes that spin when they are cancelled, and runs what comes next", () =>
    Effect.gen(function*() {
      yield* runningJob("spinning")
      const fiber = yield* Effect.forkChild(fanOut("spinners", Array.from({ length: 8 }, () => "spins")))
      yield* Effect.sleep(300)
      const elapsed = startStopwatch()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(elapsed(), 1000 + 400)
      assert.strictEqual((yield* run("", 5)).n, 5)
    }).pipe(Effect.provide([app(processes()), pools, MemoryJobStore.layer])))

  it.live("runs nothing twice and loses nothing, whatever is interrupted", () =>
    Effect.gen(function*() {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-processes-"))),
        (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
      )
      const file = path.join(folder, "notes")
      const dispatcher = yield* TaskDispatcher.TaskDispatcher
      const exits = yield* Effect.forEach(
        Array.from({ length: 300 }, (_, n) => n),
        Effect.fnUntraced(function*(n) {
          const fiber = yield* Effect.forkChild(dispatcher.run(Act, { n, act: `notes itself in ${file}` }))
          // From before it is sent to after it has ended.
          if (n % 3 === 0) yield* Effect.forkChild(Effect.andThen(Effect.sleep((n % 10) / 10), Fiber.interrupt(fiber)))
          return yield* Fiber.await(fiber)
        }),
        { concurrency: 4 }
      )
      const notes = fs.readFileSync(file, "utf8").trim().split("\n")
      assert.lengthOf(new Set(notes), notes.length)
      assert.isAtLeast(exits.filter(Exit.isSuccess).length, 200)
      for (const [n, exit] of exits.entries()) if (Exit.isSuccess(exit)) assert.include(notes, String(n))
    }).pipe(Effect.scoped, Effect.provide(app(processes()))))

  it.live("gives a stop to code that never waits", () =>
    Effect.gen(function*() {
      const stopped = yield* Effect.flip(run("spins until it is stopped"))
      assert.deepStrictEqual([stopped._tag, "reason" in stopped && stopped.reason], ["Interrupted", "Timeout"])
    }).pipe(Effect.provide(app(processes()))))

  it.live("says so when no process can be had", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(processes({ module: "./nowhere.ts" })))
      assert.instanceOf(error, ThreadsUnavailable)
      assert.match(error.message, /nowhere\.ts/)
    }).pipe(Effect.scoped))

  it.live("copies bytes that the schema marks", () =>
    Effect.gen(function*() {
      const { bytes } = yield* TaskDispatcher.TaskDispatcher.use((_) => _.run(Bytes, { size: 100 }))
      assert.deepStrictEqual([bytes.length, bytes[99]], [100, 100])
    }).pipe(Effect.provide(app(processes({ size: 1 })))))

  it.live("ends what a process has started, also where it has crashed", () =>
    Effect.gen(function*() {
      const { n: pid } = yield* run("starts a process")
      assert.isTrue(isAlive(pid))
      assert.include(String(yield* Effect.exit(run("segfaults"))), "SIGSEGV")
      assert.isTrue(yield* Effect.promise(() => soon(() => !isAlive(pid))))
    }).pipe(Effect.provide(app(processes({ size: 1 })))))

  it("leaves no process where its owner is killed, whatever that is at", async () => {
    for (const act of ["spins", "sleeps"]) {
      const mark = newMark()
      const child = owner(act, mark)
      const [pid]: ReadonlyArray<unknown> = await once(child.stdout, "data")
      const started = childrenOf(Number(String(pid)))
      assert.lengthOf(started, 1)
      child.kill("SIGKILL")
      assert.isTrue(await soon(() => marked(mark).length === 0 && !started.some(isAlive)), act)
    }
  })

  it("leaves signals of the terminal to its owner", async () => {
    const child = owner("spins long", newMark())
    const chunks: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk))
    await once(child.stdout, "data")
    if (child.pid !== undefined) process.kill(-child.pid, "SIGINT")
    await once(child, "close")
    assert.match(Buffer.concat(chunks).toString(), /^\d+\ninterrupted\nended 2\n$/)
  })

  it("leaves the output of the process to the process", () => {
    const { status, stderr, stdout } = spawnSync(process.execPath, [
      "--conditions=@fanout/source",
      path.join(import.meta.dirname, "processOwnerChild.ts"),
      "prints"
    ], { encoding: "utf8" })
    assert.match(stdout, /^\d+\nended 2\n$/)
    assert.match(stderr, /printed by 2[^]*logged by 2/)
    assert.strictEqual(status, 0)
  })
})
