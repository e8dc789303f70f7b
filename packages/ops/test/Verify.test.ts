import { assert, describe, it } from "@effect/vitest"
import * as Frontier from "@fanout/core/Frontier"
import type { JobId } from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import { JobStore, OutcomeRow } from "@fanout/core/JobStore"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import { Cell } from "@fanout/core/TaskCheckpoint"
import { layer, settle } from "@fanout/core/testing"
import { codeOf, explain } from "@fanout/ops/Difference"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Verify from "@fanout/ops/Verify"
import * as Effect from "effect/Effect"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import { RequestId } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Struct from "effect/Struct"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import type { Aspect } from "../src/internal/verify/metadataComparison.ts"
import { VerifyEntry, VerifyTasks } from "../src/internal/verify/verifyEntry.ts"
import * as VerifyEntryLive from "../src/internal/verify/verifyEntryLive.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { expected, Pair, plant } from "./pairHarness.ts"

const runtimeOf = (handler: typeof VerifyEntryLive.layer) =>
  layer({ jobs: [Verify.job] }).pipe(
    Layer.provide(Layer.provide(Verify.job.toLayer(Verify.program), [handler, Pools.layer()]))
  )

const runtime = runtimeOf(VerifyEntryLive.layer)

interface Options {
  readonly a?: string
  readonly b?: string
  readonly ignore?: ReadonlyArray<Aspect>
  readonly leaveOut?: ReadonlyArray<string>
  readonly before?: FaultyFiles.Before
}

const filesOf = (disk: MemoryFiles.Disk, before: FaultyFiles.Before = () => Effect.void) =>
  Layer.succeed(Files.Files, FaultyFiles.intercept(MemoryFiles.make(disk), before))

const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }

/** A file system that makes no calls at once, as one does whose calls may take long. */
const leaving = (files: Files.Files["Service"]): Files.Files["Service"] => ({
  ...files,
  atOnce: () => Effect.succeedNone
})

/** Handler that dies of what it is to compare together. */
const dying = VerifyTasks.toLayer(Effect.map(
  VerifyTasks.accessHandler(VerifyEntry._tag),
  (compare) => ({
    [VerifyEntry._tag]: (payload: Task.Payload<typeof VerifyEntry>) =>
      payload.part === "entries" ? Effect.die("of this") : compare(payload, call)
  })
)).pipe(Layer.provide(VerifyEntryLive.layer))

/** Ways in which a comparison is done, which all come to the same. */
const ways = {
  "together": (disk: MemoryFiles.Disk) => Layer.provideMerge(runtime, filesOf(disk)),
  "by themselves": (disk: MemoryFiles.Disk) =>
    Layer.provideMerge(runtime, Layer.succeed(Files.Files, leaving(MemoryFiles.make(disk)))),
  "by themselves once a thread has died of them": (disk: MemoryFiles.Disk) =>
    Layer.provideMerge(runtimeOf(dying), filesOf(disk))
}

const on = (disk: MemoryFiles.Disk, before?: FaultyFiles.Before) =>
  Effect.provide(Layer.provideMerge(runtime, filesOf(disk, before)))

const plan = ({ a = "/a", b = "/b", ignore = [], leaveOut = [] }: Options = {}) =>
  Verify.plan({ a: FilePath.make(a), b: FilePath.make(b), ignore, leaveOut: leaveOut.map(FilePath.make) })

const start = (options: Options = {}) =>
  Effect.gen(function*() {
    const manager = yield* JobManager.JobManager
    const { id } = yield* manager.start(Verify.job, yield* plan(options))
    yield* settle
    yield* TestClock.adjust("10 seconds")
    return id
  })

/** What a job has come to: its differences and what it has skipped, in the order of the walk. */
const result = Effect.fnUntraced(function*(id: JobId) {
  const manager = yield* JobManager.JobManager
  const sorter = new Verify.Sorter()
  sorter.add(yield* Stream.runCollect(manager.outcomes(id)))
  const { tally } = yield* manager.progress(id)
  return {
    state: (yield* manager.get(id)).state._tag,
    done: tally.done,
    lines: sorter.rest.map((row) =>
      Option.match(Verify.lineOf(row), {
        onNone: () => `${row.key.replace(/^\/a\/?/, "")} Skipped`,
        onSome: ({ path, why }) => `${path}: ${why}`
      })
    ),
    codes: sorter.rest
  }
})

const verify = (disk: MemoryFiles.Disk, options: Options = {}) =>
  Effect.flatMap(start(options), result).pipe(on(disk, options.before))

const two = (a: (disk: MemoryFiles.Disk) => void, b: (disk: MemoryFiles.Disk) => void) => {
  const disk = plant([])
  a(disk)
  b(disk)
  for (const path of ["/a", "/b"]) {
    disk.setTimes(disk.find(FilePath.make(path)), { accessedNanos: 0n, modifiedNanos: 3_000n })
  }
  return disk
}

describe("Verify", () => {
  it.effect("is paused where a tree is on another file system by now, and tells no difference", () =>
    Effect.gen(function*() {
      for (const gone of ["open /b/file", "scandir /b/folder", "scandir /b"]) {
        const plantOne = (side: string) => (disk: MemoryFiles.Disk) => {
          disk.folder(`${side}/folder`)
          disk.file(`${side}/folder/file`, "text", { modified: 1n })
          disk.file(`${side}/file`, "text", { modified: 1n })
        }
        const disk = two(plantOne("/a"), plantOne("/b"))
        const before: FaultyFiles.Before = (call, path) =>
          Effect.suspend(() => {
            if (`${call} ${path}` !== gone) return Effect.void
            for (const device of disk.fileSystems.keys()) disk.fileSystems.set(device, "another")
            for (const name of ["folder/file", "folder", "file"]) {
              if (name in disk.tree("/b")) disk.remove(`/b/${name}`)
            }
            return call === "scandir" && path === "/b"
              ? Effect.void
              : Effect.fail(FaultyFiles.error(call, path, "ENOENT"))
          })
        const { lines, state } = yield* verify(disk, { before })
        assert.deepStrictEqual([state, lines], ["Paused", []], gone)
      }
    }))

  it.effect.prop(
    "tells every difference once, in order, and nothing else",
    { pair: Pair, way: Schema.Literals(Struct.keys(ways)) },
    ({ pair, way }) => {
      const disk = plant(pair)
      return Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const id = yield* start()
        const rows = yield* Stream.runCollect(manager.outcomes(id))
        const sorter = new Verify.Sorter()
        sorter.add(rows)
        const lines = sorter.rest.map((row) => {
          const line = Verify.lineOf(row)
          const code = Option.match(Option.flatMap(line, ({ difference }) => difference), {
            onNone: () => "Skipped",
            onSome: codeOf
          })
          const path = Option.getOrUndefined(line)?.path
          return `${path ?? row.key.replace(/^\/a\/?/, "")} ${code}`
        })
        const all = expected(disk)
        const wanted = all.filter((line) => !line.endsWith(" Same"))

        assert.deepStrictEqual(lines, wanted.map((line) => line.endsWith("Skipped") ? printable(line) : line))
        const { tally } = yield* manager.progress(id)
        assert.strictEqual(tally.done, all.length - wanted.length)
        const isSame = wanted.every((line) => line.endsWith("Skipped"))
        assert.strictEqual((yield* manager.get(id)).state._tag, isSame ? "Completed" : "CompletedWithErrors")
        assert.strictEqual(disk.openCount, 0)
      }).pipe(Effect.provide(ways[way](disk)))
    },
    { arbitrary: { runs: runs(150) } }
  )

  const printable = (line: string) => {
    const at = line.lastIndexOf(" ")
    return FilePath.display(FilePath.make(line.slice(0, at))) + line.slice(at)
  }

  it.effect.prop(
    "finds nothing once what it found was mended and is tried again",
    { pair: Pair },
    ({ pair }) =>
      Effect.gen(function*() {
        const disk = plant(pair)
        yield* Effect.gen(function*() {
          const manager = yield* JobManager.JobManager
          const id = yield* start()
          const before = yield* manager.get(id)
          if (before.state._tag !== "CompletedWithErrors") return
          mirror(disk)
          const fresh = plant(pair)
          mirror(fresh)
          const all = expected(fresh)
          assert.deepStrictEqual(all.filter((line) => !/ (?:Same|Skipped)$/.test(line)), [])

          yield* manager.retry(id)
          yield* settle
          yield* TestClock.adjust("10 seconds")

          const { lines, state } = yield* result(id)
          assert.deepStrictEqual(lines.filter((line) => !line.endsWith("Skipped")), [])
          assert.strictEqual(state, "Completed")
        }).pipe(on(disk))
      }),
    { arbitrary: { runs: runs(80) } }
  )

  it.effect("compares what is in a folder that was missing, once it is there", () =>
    Effect.gen(function*() {
      const disk = plant([
        { path: ["a", "0", "é"], kind: "file", edit: "missing" },
        { path: ["a", "0", "a-"], kind: "file", edit: "none" }
      ])
      disk.remove("/b/a")
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const id = yield* start({ ignore: ["times"] })
        assert.deepStrictEqual((yield* result(id)).lines, ["a: a folder with 3 entries in A, nothing in B"])

        disk.folder("/b/a")
        disk.folder("/b/a/0")
        disk.file("/b/a/0/a-", "texT")
        yield* manager.retry(id)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual((yield* result(id)).lines, [
          "a/0/a-: differs from byte 4 on",
          "a/0/é: a file in A, nothing in B"
        ])
      }).pipe(on(disk))
    }))

  it.effect("says what differs, with both values", () =>
    Effect.gen(function*() {
      const disk = two(
        (disk) => {
          disk.file("/a/content", "one text", { modified: 1n })
          disk.file("/a/kind", "")
          disk.file("/a/metadata", "", { mode: 0o4644, modified: 1_764_093_600_123_456_789n })
          disk.symlink("/a/link", "x\ny")
          disk.file("/a/size", "123")
          disk.file("/a/empty", "")
          disk.file("/a/tick", "", { modified: 1_000n })
        },
        (disk) => {
          disk.file("/b/content", "one Text", { modified: 1n })
          disk.folder("/b/kind")
          disk.file("/b/metadata", "", { mode: 0o600, modified: -1_000n })
          disk.symlink("/b/link", "y")
          disk.file("/b/size", "1")
          disk.file("/b/empty", "1")
          disk.file("/b/tick", "", { modified: 1_999n })
        }
      )
      const { lines, state } = yield* verify(disk)
      assert.strictEqual(state, "CompletedWithErrors")
      assert.deepStrictEqual(lines, [
        "content: differs from byte 5 on",
        "empty: 0 bytes in A, 1 byte in B",
        "kind: a file in A, a folder in B",
        `link: leads to "x\\ny" in A, to "y" in B`,
        "metadata: mode 4644 in A, 0600 in B; " +
        "modified 2025-11-25T18:00:00.123456Z in A, 1969-12-31T23:59:59.999999Z in B",
        "size: 3 bytes in A, 1 byte in B"
      ])
      assert.deepStrictEqual((yield* verify(disk, { ignore: ["mode", "times"] })).lines.length, 5)
    }))

  it.effect("finds the first byte that differs wherever it is, and which file ends first", () =>
    Effect.gen(function*() {
      const length = 3 * 2 ** 20 + 5
      const bytes = new Uint8Array(length).fill(120)
      for (const at of [0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 21, length - 1]) {
        const other = bytes.slice()
        other[at] = 121
        const disk = two((disk) => disk.file("/a/f", bytes), (disk) => disk.file("/b/f", other))
        assert.deepStrictEqual((yield* verify(disk)).lines, [`f: differs from byte ${at + 1} on`])
      }
      const disk = two((disk) => disk.file("/a/f", bytes), (disk) => disk.file("/b/f", bytes.slice()))
      assert.deepStrictEqual((yield* verify(disk)).lines, [])
    }))

  it.effect("compares two files, and follows links that were named", () =>
    Effect.gen(function*() {
      const disk = two(
        (disk) => {
          disk.file("/a/f", "text")
          disk.symlink("/named", "/a/f")
        },
        (disk) => disk.file("/b/g", "texT")
      )
      assert.deepStrictEqual((yield* verify(disk, { a: "/named", b: "/b/g" })).lines, [": differs from byte 4 on"])
    }))

  it.effect("leaves out the database of its own job, and skips what is no file", () =>
    Effect.gen(function*() {
      const disk = two(
        (disk) => {
          disk.file("/a/db", "text")
          disk.special("/a/pipe")
        },
        (disk) => {
          disk.file("/b/db", "other")
          disk.file("/b/db-wal", "other")
          disk.special("/b/socket")
        }
      )
      const { lines, state } = yield* verify(disk, { leaveOut: ["/b/db", "/b/db-wal"] })
      assert.deepStrictEqual(lines, ["db Skipped", "db-wal Skipped", "pipe Skipped", "socket Skipped"])
      assert.strictEqual(state, "Completed")
    }))

  it.effect.each([true, false])(
    "opens no other name of its database (together: %s)",
    (isTogether) =>
      Effect.gen(function*() {
        const disk = two(
          (disk) => {
            disk.file("/db", "text")
            disk.hardLink("/db", "/a/name")
            disk.file("/a/other", "text")
            disk.hardLink("/db", "/a/z")
          },
          (disk) => {
            disk.file("/b/name", "text")
            disk.hardLink("/db", "/b/other")
            disk.hardLink("/db", "/b/z")
          }
        )
        const before: FaultyFiles.Before = (call, path) =>
          call === "open" && disk.find(path).inode === disk.find(FilePath.make("/db")).inode
            ? Effect.die(`${path} was opened`)
            : Effect.void
        const faulty = FaultyFiles.intercept(MemoryFiles.make(disk), before)
        const files = isTogether ? faulty : leaving(faulty)
        const compare = (options: Options) =>
          Effect.flatMap(start({ ...options, leaveOut: ["/db", "/db-wal"] }), result).pipe(
            Effect.provide(Layer.provideMerge(runtime, Layer.succeed(Files.Files, files)))
          )
        const { lines, state } = yield* compare({})
        assert.deepStrictEqual({ lines, state }, {
          lines: ["name Skipped", "other Skipped", "z Skipped"],
          state: "Completed"
        })
        assert.deepStrictEqual((yield* compare({ a: "/a/other", b: "/b/other" })).lines, ["other Skipped"])
      })
  )

  it.effect("tells what can't be read from what differs, and on which side", () =>
    Effect.gen(function*() {
      const disk = plant([
        { path: ["a", "0"], kind: "file", edit: "none" },
        { path: ["a-"], kind: "file", edit: "content" },
        { path: ["é"], kind: "link", edit: "content" }
      ])
      const codes = new Map([["open /b/a-", "EACCES"], ["scandir /a/a", "EACCES"], ["readlink /b/é", "EIO"]])
      const { lines } = yield* verify(disk, {
        before: FaultyFiles.failingBy(codes)
      })
      assert.deepStrictEqual(lines, [
        `a: can't be read in A: Could not list "/a/a": permission denied (EACCES)`,
        `a-: can't be read in B: Could not open "/b/a-": permission denied (EACCES)`,
        `é: can't be read in B: Could not read "/b/é": the device failed to read or write (EIO)`
      ])
    }))

  it.effect("compares what is in a folder that could not be listed, once it can be", () =>
    Effect.gen(function*() {
      const disk = plant([
        { path: ["a", "0", "é"], kind: "file", edit: "content" },
        { path: ["a", "0", "a-"], kind: "file", edit: "none" }
      ])
      let isDenied = true
      yield* Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const id = yield* start()
        assert.match((yield* result(id)).lines.join("\n"), /^a: can't be read in B: .*$/)
        yield* manager.retry(id)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        assert.match((yield* result(id)).lines.join("\n"), /^a: can't be read in B: .*$/)

        isDenied = false
        yield* manager.retry(id)
        yield* settle
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual((yield* result(id)).lines, ["a/0/é: differs from byte 4 on"])
      }).pipe(
        on(disk, FaultyFiles.failing("EACCES", (call, path) => isDenied && call === "scandir" && path === "/b/a"))
      )
    }))

  it.effect("reads nothing of files of two sizes, or of one file, and of others each byte once", () =>
    Effect.gen(function*() {
      const disk = plant([
        { path: ["0"], kind: "file", edit: "longer" },
        { path: ["a"], kind: "file", edit: "none" }
      ])
      disk.file("/a/shared", "text")
      disk.hardLink("/a/shared", "/b/shared")
      const reads: Array<string> = []
      yield* verify(disk, {
        before: (call, path) => Effect.sync(() => void (call === "read" && reads.push(path)))
      })
      assert.deepStrictEqual(reads, ["/a/a", "/b/a"])
    }))

  it.effect("compares what is in folders together, and by themselves those that take long or can't be read", () =>
    Effect.gen(function*() {
      const large = new Uint8Array(2 ** 20 + 1)
      const plantIn = (tree: string, isOther: boolean) => (disk: MemoryFiles.Disk) => {
        const other = (text: string) => isOther ? text.replace("e", "E") : text
        disk.folder(`${tree}/in`)
        for (let i = 0; i < 20; i++) disk.file(`${tree}/in/${i}`, `text ${i}`)
        disk.file(`${tree}/in/changes`, "text")
        disk.file(`${tree}/in/differs`, other("text"))
        disk.file(`${tree}/in/empty`, "")
        disk.file(`${tree}/in/large`, large)
        disk.file(`${tree}/in/larger`, isOther ? Uint8Array.from(large, (_, at) => at === 2 ** 20 ? 1 : 0) : large)
        disk.symlink(`${tree}/in/leads`, other("there"))
        disk.symlink(`${tree}/in/link`, "there")
        disk.file(`${tree}/in/mode`, "text", { mode: isOther ? 0o600 : 0o644 })
        disk.folder(`${tree}/in/none`)
        disk.file(`${tree}/in/secret`, "text")
        disk.file(`${tree}/in/shrinks`, other("text").slice(isOther ? 1 : 0))
        disk.file(`${tree}/in/vanishes`, "text")
        disk.folder(`${tree}/in/z`, { mode: isOther ? 0o700 : 0o755 })
        disk.file(`${tree}/in/z/z`, "text")
      }
      const disk = two(plantIn("/a", false), plantIn("/b", true))
      let together = 0
      const opened = new Map<string, number>()
      const faulty = FaultyFiles.intercept(MemoryFiles.make(disk), (call, path) => {
        if (call === "open" && path === "/b/in/secret") {
          return Effect.fail(FaultyFiles.error(call, path, "EACCES"))
        }
        return Effect.sync(() => {
          if (call === "open") opened.set(path, (opened.get(path) ?? 0) + 1)
          if (call === "read" && path === "/b/in/changes") disk.change(path, () => "texts")
          if (call === "open" && path === "/b/in/vanishes") disk.remove(path)
        })
      })
      const counting: Files.Files["Service"] = {
        ...faulty,
        atOnce: (work, isNeeded) => {
          together++
          return faulty.atOnce(work, isNeeded)
        }
      }
      const { done, lines } = yield* Effect.flatMap(start({ ignore: ["times"] }), result).pipe(
        Effect.provide(Layer.provideMerge(runtime, Layer.succeed(Files.Files, counting)))
      )
      assert.strictEqual(together, 1)
      assert.deepStrictEqual(lines, [
        "in/changes: changed in B while it was compared",
        "in/differs: differs from byte 2 on",
        `in/larger: differs from byte ${2 ** 20 + 1} on`,
        `in/leads: leads to "there" in A, to "thEre" in B`,
        "in/mode: mode 0644 in A, 0600 in B",
        `in/secret: can't be read in B: Could not open "/b/in/secret": permission denied (EACCES)`,
        "in/shrinks: 4 bytes in A, 3 bytes in B",
        "in/vanishes: a file in A, nothing in B",
        "in/z: mode 0755 in A, 0700 in B"
      ])
      assert.deepStrictEqual(["0", "differs", "mode", "z/z"].map((name) => opened.get(`/a/in/${name}`)), [1, 1, 1, 1])
      assert.deepStrictEqual(["large", "larger", "shrinks"].map((name) => opened.get(`/a/in/${name}`)), [2, 2, 1])
      // The trees themselves, what is in them, and in there the rest.
      assert.strictEqual(done, 2 + 20 + 5)
    }))

  it.effect("tells of a file that changes while it is compared, whatever it seems to be", () =>
    Effect.gen(function*() {
      for (const [side, edit] of [["A", "text."], ["B", "texT"], ["B", "text"]] as const) {
        const disk = plant([{ path: ["0"], kind: "file", edit: "none" }])
        const path = `/${side.toLowerCase()}/0`
        const { lines } = yield* verify(disk, {
          before: (call, at) =>
            Effect.sync(() => {
              if (call === "read" && at === path) disk.change(at, () => edit)
            })
        })
        assert.deepStrictEqual(lines, [`0: changed in ${side} while it was compared`])
      }
    }))

  it.effect("tells of a large file that changes while it is compared", () =>
    Effect.gen(function*() {
      for (const side of ["A", "B"]) {
        const disk = plant([])
        for (const path of ["/a/0", "/b/0"]) disk.file(path, Buffer.alloc(2 ** 21), { modified: 1_000_000n })
        const path = `/${side.toLowerCase()}/0`
        const { lines } = yield* verify(disk, {
          before: (call, at) =>
            Effect.sync(() => {
              if (call === "read" && at === path) disk.change(at, (text) => text)
            })
        })
        assert.deepStrictEqual(lines, [`0: changed in ${side} while it was compared`])
      }
    }))

  it.effect("tells what came, went or turned into something else after it was met", () =>
    Effect.gen(function*() {
      const change = (kind: "file" | "folder", edit: (disk: MemoryFiles.Disk) => void) => {
        const disk = plant([{ path: ["0"], kind, edit: "none" }])
        let isDone = false
        return verify(disk, {
          ignore: ["times"],
          before: (call, path) =>
            Effect.sync(() => {
              const comes = kind === "file" ? call === "open" && path === "/a/0" : call === "scandir" && path === "/a/0"
              if (!comes || isDone) return
              isDone = true
              edit(disk)
            })
        })
      }
      const gone = yield* change("file", (disk) => disk.remove("/a/0"))
      assert.deepStrictEqual(gone.lines, ["0: nothing in A, a file in B"])
      const both = yield* change("file", (disk) => ["/a/0", "/b/0"].forEach((path) => disk.remove(path)))
      assert.deepStrictEqual([both.lines, both.state], [["0 Skipped"], "Completed"])
      const link = yield* change("file", (disk) => {
        disk.remove("/b/0")
        disk.symlink("/b/0", "/a")
      })
      assert.deepStrictEqual(link.lines, ["0: a file in A, a link in B"])
      const folder = yield* change("folder", (disk) => {
        disk.remove("/b/0")
        disk.symlink("/b/0", "/a")
      })
      assert.deepStrictEqual(folder.lines, ["0: a folder in A, a link in B"])
    }))

  it.effect("goes on behind what was compared of a large file, unless that has changed", () =>
    Effect.gen(function*() {
      const bytes = new Uint8Array(136 * 2 ** 20)
      const disk = two((disk) => disk.file("/a/f", bytes), (disk) => disk.file("/b/f", bytes))
      let read: Array<number> = []
      const files = FaultyFiles.intercept(MemoryFiles.make(disk), () => Effect.void)
      const counting: Files.Files["Service"] = {
        ...files,
        open: (path) =>
          Effect.map(files.open(path), (file) => ({
            ...file,
            readAt: (buffer: Uint8Array, offset: number) => {
              read.push(offset)
              return file.readAt(buffer, offset)
            }
          }))
      }
      const handlers = Layer.provide(VerifyEntryLive.layer, Layer.succeed(Files.Files, counting))
      const payload = { a: FilePath.make("/a/f"), b: FilePath.make("/b/f"), part: "file", ignore: [] } as const
      /** Compares from a checkpoint on, and gives how many bytes that were. */
      const compare = (checkpoint: Schema.Json | undefined, saved: Array<Schema.Json>) =>
        Effect.gen(function*() {
          let added = 0
          const run = yield* VerifyTasks.accessHandler(VerifyEntry._tag)
          yield* Effect.scoped(run(payload, call)).pipe(
            Effect.provideService(Cell, {
              checkpoint,
              saveUnsafe: (value) => void saved.push(value),
              recorded: Effect.void
            }),
            Effect.provideService(Progress.Reporter, {
              addUnsafe: (_, amount) => {
                added += amount
              },
              totalUnsafe: () => {}
            })
          )
          return added
        }).pipe(Effect.provide(handlers))

      const saved: Array<Schema.Json> = []
      assert.strictEqual(yield* compare(undefined, saved), bytes.length)
      assert.lengthOf(saved, 2)
      read = []
      // The first piece has 2 MiB, all others 8 MiB.
      assert.strictEqual(yield* compare(saved[1], []), 6 * 2 ** 20)
      assert.strictEqual(Math.min(...read), 130 * 2 ** 20)
      disk.setMode(disk.find(FilePath.make("/a/f")), 0o644)
      assert.strictEqual(yield* compare(saved[1], []), bytes.length)
    }))

  it.effect("refuses what is no two trees, and says what to do", () =>
    Effect.gen(function*() {
      const disk = two(
        (disk) => {
          disk.folder("/a/in")
          disk.file("/a/f", "")
          disk.hardLink("/a/f", "/a/g")
          disk.special("/a/pipe")
          disk.symlink("/link", "/a")
        },
        () => {}
      )
      const why = (a: string, b: string) => Effect.flip(plan({ a, b })).pipe(Effect.map(({ message }) => message))
      const [same, hard, inside, outside, mixed, special, missing] = yield* Effect.all([
        why("/a", "/link"),
        why("/a/f", "/a/g"),
        why("/a", "/a/in"),
        why("/link/in", "/a"),
        why("/a/f", "/b"),
        why("/a/pipe", "/b"),
        why("/a", "/nowhere")
      ]).pipe(Effect.provide(filesOf(disk)))
      assert.match(same, /"\/a" and "\/link" are the same folder: name/)
      assert.match(hard, /are the same file/)
      assert.match(inside, /^"\/a\/in" is inside of "\/a"/)
      assert.match(outside, /^"\/link\/in" is inside of "\/a"/)
      assert.match(mixed, /"\/a\/f" is a file and "\/b" is a folder: name two/)
      assert.match(special, /"\/a\/pipe" is neither/)
      assert.match(missing, /There is nothing at "\/nowhere": check/)
    }))

  it.effect.prop(
    "gives rows in order while others are still to come, by the frontier",
    { pair: Pair, unsettled: Schema.Array(Schema.Natural), stop: Schema.Natural },
    ({ pair, stop, unsettled }) =>
      Effect.gen(function*() {
        const manager = yield* JobManager.JobManager
        const store = yield* JobStore
        const id = yield* start()
        const rows = yield* Stream.runCollect(manager.outcomes(id))
        const all = new Verify.Sorter()
        all.add(rows)
        const ordered = all.rest
        const checkpoint = Option.getOrThrow(yield* store.checkpoint(id, Verify.fanOutName))
        const end = Option.getOrThrow(Frontier.fromCheckpoint(checkpoint))
        assert.deepStrictEqual(end.unsettled, [])

        const sorter = new Verify.Sorter()
        const late = ordered.filter((_, i) => unsettled.some((n) => n % Math.max(1, ordered.length) === i))
        sorter.add(rows.filter((row) => !late.includes(row)))
        const first = sorter.take({ last: end.last, unsettled: late.map(({ cursor }) => cursor) })
        const upTo = ordered[stop % Math.max(1, ordered.length)]
        sorter.add(late)
        const second = sorter.take({ last: Option.fromUndefinedOr(upTo?.cursor), unsettled: [] })
        const firstLate = ordered.findIndex((row) => late.includes(row))
        assert.deepStrictEqual(first, firstLate === -1 ? ordered : ordered.slice(0, firstLate))
        assert.deepStrictEqual([...first, ...second, ...sorter.rest], ordered)
      }).pipe(on(plant(pair))),
    { arbitrary: { runs: runs(80) } }
  )

  it("takes less time to give nothing, a hundred times, than to sort what waits once", () => {
    const failure = Outcome.Failure.cases.Defect.make({ message: "differs" })
    const outcome = Outcome.Outcome.cases.Failed.make({ failure })
    const rows = Array.from({ length: 20_000 }, (_, i) => {
      const key = `b${String(i).padStart(6, "0")}`
      return new OutcomeRow({
        fanOut: "entries",
        payload: null,
        origin: null,
        attempt: 1,
        at: 0,
        key,
        cursor: `./${key}`,
        outcome
      })
    })
    const sorter = new Verify.Sorter()
    const start = performance.now()
    sorter.add(rows)
    const sorted = performance.now()
    for (let i = 0; i < 100; i++) {
      const isSame = i % 2 === 0
      const unsettled = [isSame ? "./a" : `./a${i}`, "./b000007"]
      assert.deepStrictEqual(sorter.take({ last: Option.some("./c"), unsettled }), [])
    }
    assert.isBelow(performance.now() - sorted, sorted - start)
    assert.deepStrictEqual(sorter.rest, rows)
  })

  it("has words for every amount", () => {
    const only = (entries: number, isAll: boolean) =>
      explain({ _tag: "Extra", kind: "folder", held: Option.some({ entries, isAll }) })
    assert.deepStrictEqual([only(0, true), only(1, true), only(2, false)], [
      "nothing in A, an empty folder in B",
      "nothing in A, a folder with 1 entry in B",
      "nothing in A, a folder with more than 2 entries in B"
    ])
  })
})

/** Makes the one tree like the other, in place. */
const mirror = (disk: MemoryFiles.Disk): void => {
  const tree = disk.tree("/a")
  for (const name of Object.keys(disk.tree("/b")).filter((path) => !path.includes("/"))) disk.remove(`/b/${name}`)
  for (const [path, seen] of Object.entries(tree)) {
    if (seen.kind === "folder") disk.folder(`/b/${path}`, { mode: seen.mode })
    else if (seen.kind === "file") disk.file(`/b/${path}`, seen.text, seen)
    else if (seen.kind === "link") disk.symlink(`/b/${path}`, seen.target, seen)
    else disk.special(`/b/${path}`)
  }
  for (const [path, seen] of [...Object.entries(tree), ["", disk.see("/a")] as const]) {
    if (seen?.kind !== "folder") continue
    disk.setTimes(disk.find(FilePath.make(`/b/${path}`)), { accessedNanos: 7n, modifiedNanos: seen.modified })
  }
}
