import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import type * as Task from "@fanout/core/Task"
import * as TaskCheckpoint from "@fanout/core/TaskCheckpoint"
import { CopyOptions } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { RequestId } from "effect/rpc/RpcMessage"
import type * as Schema from "effect/Schema"
import * as CopyEntryLive from "../src/internal/copy/copyEntryLive.ts"
import { CopyEntry } from "../src/internal/copy/copyTask.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import { Turns } from "../src/internal/steps/linkedCopies.ts"
import { MadeFolders } from "../src/internal/steps/madeFolders.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const modes = Conflict.Mode.literals

/** Modes in which something is only replaced where it is to be. */
const keeps = (mode: Conflict.Mode): boolean => mode === "skip" || mode === "rename" || mode === "error"

type Kind = Task.Payload<typeof CopyEntry>["kind"]

/** One task of a job, through all of its attempts. */
class World {
  readonly disk = new MemoryFiles.Disk()
  /** Every call that gave something the name of a copy. */
  readonly placed: Array<string> = []
  private saved: Schema.Json | undefined
  private recorded: Schema.Json | undefined
  private token = 0

  constructor(takesUnnamed: boolean) {
    this.disk.takesUnnamed = takesUnnamed
    for (const folder of ["/from", "/from/folder", "/to"]) this.disk.folder(folder)
    this.disk.file("/from/file", "text", { mode: 0o640, modified: 1_111_111n })
    this.disk.symlink("/from/link", "nowhere", { modified: 2_222_222n })
  }

  private readonly note: FaultyFiles.Before = (call, path) =>
    Effect.sync(() => {
      const isPlacing = call === "rename" || (call === "link" && !path.includes(".fanout-")) ||
        (call === "link" && !this.disk.takesUnnamed)
      if (isPlacing) this.placed.push(`${call} ${path}`)
    })

  /** Makes an attempt, as the owner that the job has next. Nothing that was not recorded is left of those before. */
  readonly attempt = (
    conflict: Conflict.Mode,
    { before = () => Effect.void, kind = "file", names, source = `/from/${kind}`, target = "/to/copy" }: {
      readonly before?: FaultyFiles.Before
      readonly kind?: Kind
      readonly names?: ReadonlyArray<string>
      readonly source?: string
      readonly target?: string
    } = {}
  ) =>
    Effect.suspend(() => {
      const token = ++this.token
      this.saved = this.recorded
      const { saved } = this
      const files = FaultyFiles.intercept(
        MemoryFiles.make(this.disk),
        (call, path) => Effect.andThen(before(call, path), this.note(call, path))
      )
      const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }
      const named = names === undefined ? {} : { names: names.map((name) => FilePath.make(name)) }
      const payload = { kind, source: FilePath.make(source), target: FilePath.make(target), conflict, ...named }
      return RpcGroup.make(CopyEntry).accessHandler("@fanout/ops/CopyEntry").pipe(
        Effect.flatMap((handle) => {
          const result = handle(payload, call)
          return Effect.isEffect(result) ? result : Effect.die("it has begun before it was run")
        }),
        // A handler of a group may give this instead.
        Effect.flatMap((success) => "_tag" in success ? Effect.succeed(success) : Deferred.await(success)),
        Effect.provideService(Lease.Lease, {
          job: Option.some(JobId.make("job")),
          token,
          isHeldUnsafe: () => token === this.token,
          heldUntilUnsafe: Option.none
        }),
        // A process that was killed holds up none that comes after it.
        Effect.provideService(Turns, new Map()),
        Effect.provideService(TaskCheckpoint.Cell, {
          checkpoint: saved,
          saveUnsafe: (checkpoint) => {
            this.saved = checkpoint
          },
          recorded: Effect.sync(() => {
            this.recorded = this.saved
          })
        }),
        Effect.provide(CopyEntryLive.layer),
        Effect.provide(Layer.succeed(Files.Files, files))
      )
    })

  /** Gives the job to somebody else, whom the attempt that is under way knows nothing of. */
  readonly lose = (): void => void this.token++

  /** Makes an attempt that is killed right before a call, and returns whether it got there. */
  readonly kill = Effect.fnUntraced({ self: this }, function*(
    conflict: Conflict.Mode,
    calls: number,
    kind: "file" | "link"
  ) {
    const reached = yield* Deferred.make<void>()
    let left = calls
    const before: FaultyFiles.Before = () =>
      Effect.suspend(() =>
        left-- === 0 ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
      )
    const fiber = yield* Effect.forkDetach(Effect.exit(this.attempt(conflict, { before, kind })))
    yield* Effect.raceFirst(Deferred.await(reached), Fiber.await(fiber))
    return yield* Deferred.isDone(reached)
  })
}

const each = modes.flatMap((mode) => [[mode, true], [mode, false]] as const)

describe("CopyEntryLive", () => {
  it.effect("tells of a file that has become a folder, and fails where links are followed", () =>
    Effect.gen(function*() {
      for (const kind of ["file", "link"] as const) {
        const world = new World(true)
        const attempt = world.attempt("changed", { kind, source: "/from/folder" })
        assert.deepStrictEqual(yield* attempt, { _tag: "FolderFound" })
        const following = { ...CopyOptions.defaultValue(), isFollowing: true }
        const error = yield* Effect.flip(Effect.provideService(attempt, CopyOptions, following))
        assert.deepStrictEqual("code" in error && error.code, "KindChanged")
        assert.isUndefined(world.disk.see("/to/copy"))
      }
    }))

  it.effect.each(modes)(
    "tells the checksum of what it has placed before a crash (%s)",
    (mode) =>
      Effect.gen(function*() {
        const world = new World(true)
        if (mode === "rename") world.disk.file("/to/copy", "of somebody else")
        const attempt = Effect.provideService(world.attempt(mode), CopyOptions, {
          ...CopyOptions.defaultValue(),
          checksums: "md5"
        })
        for (const success of [yield* attempt, yield* attempt]) {
          const name = FilePath.make(mode === "rename" ? "copy (1)" : "copy")
          const digest = "1cb251ec0d568de6a929b520c4aed8d1"
          assert.deepInclude(success, { checksums: { folder: FilePath.make("/to"), names: [name], digests: [digest] } })
        }
      })
  )

  it.effect.each(each)("takes what it has placed before a crash for its own (%s, without a name first: %s)", ([
    mode,
    takesUnnamed
  ]) =>
    Effect.gen(function*() {
      for (const kind of ["file", "link"] as const) {
        const world = new World(takesUnnamed)
        const { disk } = world
        if (mode === "rename") disk.file("/to/copy", "of somebody else")
        const copy = mode === "rename" ? "/to/copy (1)" : "/to/copy"

        const first = yield* world.attempt(mode, { kind })
        const after = disk.tree("/to")
        const second = yield* world.attempt(mode, { kind })

        assert.strictEqual(first._tag, kind === "file" ? "Copied" : "Linked")
        assert.deepStrictEqual(disk.tree("/to"), after)
        assert.deepStrictEqual(disk.see(copy), disk.see(`/from/${kind}`))
        if (mode === "changed") assert.deepStrictEqual(second, { _tag: "Unchanged" })
        else if (kind === "link") assert.deepStrictEqual(second, { _tag: "Linked" })
        else assert.include(second, { _tag: "Copied", sizeBytes: 4, strategy: keeps(mode) ? "before" : "whole" })
        assert.strictEqual(disk.openCount, 0)
      }
    }))

  it.effect.each(modes.filter(keeps))(
    "takes what it has placed for its own where times are not kept (%s)",
    (mode) =>
      Effect.gen(function*() {
        for (const kind of ["file", "link"] as const) {
          const world = new World(true)
          const { disk } = world
          if (mode === "rename") disk.file("/to/copy", "of somebody else")
          const attempt = Effect.provideService(world.attempt(mode, { kind }), CopyOptions, {
            ...CopyOptions.defaultValue(),
            keeps: new Set<never>()
          })

          yield* attempt
          const after = disk.tree("/to")
          const second = yield* attempt

          assert.deepStrictEqual(disk.tree("/to"), after)
          assert.strictEqual(second._tag, kind === "file" ? "Copied" : "Linked")
          assert.strictEqual(disk.openCount, 0)
        }
      })
  )

  it.effect("takes what has another content for somebody else's, where times are not kept", () =>
    Effect.gen(function*() {
      const world = new World(true)
      const attempt = Effect.provideService(world.attempt("rename"), CopyOptions, {
        ...CopyOptions.defaultValue(),
        keeps: new Set<never>()
      })

      yield* attempt
      world.disk.remove("/to/copy")
      world.disk.file("/to/copy", "what")
      yield* attempt

      assert.include(world.disk.see("/to/copy"), { text: "what" })
      assert.include(world.disk.see("/to/copy (1)"), { text: "text" })
    }))

  it.effect.each(each)("is whole or not there wherever it was killed, and then goes on (%s, %s)", ([
    mode,
    takesUnnamed
  ]) =>
    Effect.gen(function*() {
      for (const kind of ["file", "link"] as const) {
        for (let n = 0;; n++) {
          const world = new World(takesUnnamed)
          const { disk } = world
          if (mode === "rename") disk.file("/to/copy", "of somebody else")
          const copy = mode === "rename" ? "/to/copy (1)" : "/to/copy"

          const isKilled = yield* world.kill(mode, n, kind)

          const there = disk.see(copy)
          if (there !== undefined) assert.deepStrictEqual(there, disk.see(`/from/${kind}`))
          const strays = Object.keys(disk.tree("/to")).filter((name) => name.startsWith(".fanout-"))
          if (kind === "file" && takesUnnamed) assert.lengthOf(strays, 0)
          if (!isKilled) {
            assert.isAbove(n, 6)
            break
          }

          yield* world.attempt(mode, { kind })
          yield* world.attempt(mode, { kind: "folderEnd", source: "/from", target: "/to" })

          assert.deepStrictEqual(disk.see(copy), disk.see(`/from/${kind}`))
          assert.sameMembers(Object.keys(disk.tree("/to")), mode === "rename" ? ["copy", "copy (1)"] : ["copy"])
          // The second attempt tries once more where the name was given and nobody knew.
          assert.isAtMost(world.placed.length, 2)
        }
      }
    }))

  it.effect.each(each)(
    "decides again where somebody takes the name meanwhile (%s, %s)",
    ([mode, takesUnnamed]) =>
      Effect.gen(function*() {
        const worlds = (["file", "link"] as const).flatMap((kind) =>
          [false, true].map((lacks) => [kind, lacks] as const)
        )
        for (const [kind, lacksLinks] of worlds) {
          const world = new World(takesUnnamed)
          const { disk } = world
          disk.takes("/to", { lacksLinks })
          const before: FaultyFiles.Before = (call) =>
            Effect.sync(() => {
              if (
                call === (takesUnnamed && !lacksLinks && kind === "file" ? "link" : "rename") &&
                disk.see("/to/copy") === undefined
              ) disk.file("/to/copy", "of somebody else")
            })

          const exit = yield* Effect.exit(world.attempt(mode, { before, kind }))

          const [original, copy] = [disk.see(`/from/${kind}`), disk.see("/to/copy")]
          if (keeps(mode)) assert.include(copy, { text: "of somebody else" })
          else assert.deepStrictEqual(copy, original)
          assert.strictEqual(exit._tag, mode === "skip" || mode === "error" ? "Failure" : "Success")
          if (mode === "rename") assert.deepStrictEqual(disk.see("/to/copy (1)"), original)
          assert.lengthOf(Object.keys(disk.tree("/to")), mode === "rename" ? 2 : 1)
          assert.strictEqual(disk.openCount, 0)
        }
      })
  )

  it.effect.each(modes)("never replaces a folder that takes the name meanwhile (%s)", (mode) =>
    Effect.gen(function*() {
      const world = new World(true)
      const { disk } = world
      const before: FaultyFiles.Before = (call) =>
        Effect.sync(() => {
          if (call === "link" && disk.see("/to/copy") === undefined) disk.folder("/to/copy")
        })

      const error = yield* Effect.flip(world.attempt(mode, { before }))

      assert.include(String(error), "a file can't take the place of the folder that is there")
      assert.deepStrictEqual(Object.keys(disk.tree("/to")), ["copy"])
    }))

  it.effect("leaves the source of a move where it is once the job may be somebody else's", () =>
    Effect.gen(function*() {
      for (let n = 0;; n++) {
        const world = new World(true)
        world.disk.device = 2n
        world.disk.folder("/to/other")
        let [left, isLost] = [n, false]
        const late: Array<string> = []
        const before: FaultyFiles.Before = (call, path) =>
          Effect.sync(() => {
            if (isLost && path.startsWith("/from/") && (call === "rename" || call === "unlink")) late.push(call)
            if (left-- > 0) return
            if (!isLost) world.lose()
            isLost = true
          })
        yield* world.attempt("error", { before, target: "/to/other/copy" }).pipe(
          Effect.updateService(CopyOptions, (options) => ({ ...options, isMove: true })),
          Effect.exit
        )
        assert.deepStrictEqual(late, [], `${n}`)
        if (isLost) continue
        // It has all been done by then.
        assert.isUndefined(world.disk.see("/from/file"))
        return
      }
    }))

  it.effect("calls vanished what a folder above has taken with it, or a link in its place", () =>
    Effect.gen(function*() {
      for (const kind of ["file", "folder", "folderEnd"] as const) {
        for (const instead of ["nothing", "file", "link"]) {
          const { attempt, disk } = new World(true)
          disk.folder("/secret")
          disk.file("/secret/file", "secret")
          disk.folder("/secret/folder")
          disk.folder("/to/copy")
          disk.remove("/from")
          if (instead === "file") disk.file("/from", "text")
          if (instead === "link") disk.symlink("/from", "/secret")
          const before = disk.tree("/")

          const source = kind === "file" ? "/from/file" : "/from/folder"
          const error = yield* Effect.flip(attempt("changed", { kind, source, target: "/to/copy" }))

          assert.include(error, { _tag: "Skipped", reason: "it vanished" })
          assert.deepStrictEqual(disk.tree("/"), before)
          assert.strictEqual(disk.openCount, 0)
        }
      }
    }))

  it.effect("fails where the folder that it would go into is gone, or a link by now", () =>
    Effect.gen(function*() {
      for (const kind of ["file", "link", "folder"] as const) {
        for (const instead of ["nothing", "link"]) {
          const { attempt, disk } = new World(true)
          disk.remove("/to")
          disk.folder("/outside")
          if (instead === "link") disk.symlink("/to", "/outside")

          const error = yield* Effect.flip(attempt("changed", { kind }))

          const code = instead === "nothing" ? "ENOENT" : "ENOTDIR"
          assert.include(error, { _tag: "EntryFailed", code, path: FilePath.make(`/from/${kind}`) })
          assert.include(String(error), `Could not open "/to"`)
          assert.deepStrictEqual(disk.tree("/outside"), {})
        }
      }
    }))

  it.effect("sweeps what owners before have left in a folder, once that ends, and nothing else", () =>
    Effect.gen(function*() {
      const { attempt, disk } = new World(true)
      const job = JobId.make("job")
      const names = [
        TemporaryName.make(job, 1, FilePath.make("/to/copy/a")),
        TemporaryName.make(job, 2, FilePath.make("/to/copy/a")),
        TemporaryName.make(JobId.make("other"), 1, FilePath.make("/to/copy/a"))
      ]
      yield* attempt("changed", { kind: "folder", source: "/from/folder" })
      for (const name of names) disk.file(`/to/copy/${name}`, "half")
      yield* attempt("changed", { kind: "folderEnd", source: "/from/folder" })
      assert.deepStrictEqual(Object.keys(disk.tree("/to/copy")), names.slice(1).toSorted())
    }))

  it.effect("remembers the folders that it has made, until they end", () =>
    Effect.gen(function*() {
      for (const isOfOthers of [false, true]) {
        const { attempt, disk } = new World(true)
        const made = new Set<FilePath.FilePath>()
        const before: FaultyFiles.Before = (call) =>
          Effect.sync(() => {
            if (call === "mkdir" && isOfOthers) disk.folder("/to/copy")
          })
        const run = (kind: Kind) =>
          Effect.provideService(attempt("changed", { before, kind, source: "/from/folder" }), MadeFolders, made)

        yield* run("folder")
        assert.deepStrictEqual(Array.from(made), isOfOthers ? [] : ["/to/copy"])
        yield* run("folderEnd")
        assert.strictEqual(made.size, 0)
      }
    }))

  it.effect("leaves of the files of a folder what is there, where it is to (skip)", () =>
    Effect.gen(function*() {
      const { attempt, disk } = new World(true)
      const plain = ["different", "folder", "free", "same"]
      for (const name of plain) disk.file(`/from/folder/${name}`, "text", { modified: 1_111_111n })
      const names = [...plain, "link"]
      disk.symlink("/from/folder/link", "nowhere", { modified: 1_111_111n })
      disk.folder("/to/copy")
      disk.folder("/to/copy/folder")
      disk.file("/to/copy/different", "text", { modified: 2_222_222n })
      disk.file("/to/copy/same", "text", { modified: 1_111_111n })
      const copy = attempt("skip", { kind: "files", names, source: "/from/folder" })

      const rest = [{ path: "", names: ["folder"], folders: [], sizes: [] }]
      assert.deepInclude<unknown>(yield* copy, {
        copied: 1,
        linked: 1,
        unchanged: 0,
        skipped: ["different", "same"],
        rest
      })
      // What is the same may be what the first has copied.
      assert.deepInclude<unknown>(yield* copy, { copied: 0, linked: 0, unchanged: 3, skipped: ["different"], rest })
      assert.deepInclude<unknown>(yield* attempt("overwrite", { kind: "files", names, source: "/from/folder" }), {
        copied: 3,
        linked: 1,
        unchanged: 0,
        skipped: [],
        rest
      })
    }))
})
