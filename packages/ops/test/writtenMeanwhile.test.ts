import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as crypto from "node:crypto"
import { runs } from "../../../test/effort.ts"
import { copy } from "./copyHarness.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import * as World from "./objectHarness.ts"

const KiB = 2 ** 10
const source = FilePath.make("/from/file")

/** What somebody does with a file, and at which of the calls that a job makes from then on. */
const Write = Schema.Struct({
  calls: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })),
  what: Schema.Literals(["content", "content", "content", "longer", "shorter", "touched", "mode"])
})
const Writes = Schema.NonEmptyArray(Write).check(Schema.isMaxLength(3))

/** A file all of whose bytes are the same: those of two states are no state. */
class Written {
  readonly disk: MemoryFiles.Disk
  private left: ReadonlyArray<typeof Write.Type>
  private calls = 0
  private isBegun = false
  private version = 0
  readonly states: Array<string> = []

  constructor(disk: MemoryFiles.Disk, sizeBytes: number, writes: ReadonlyArray<typeof Write.Type>) {
    this.disk = disk
    this.left = writes
    disk.file(source, this.textOf(sizeBytes), { mode: 0o644, modified: 5_000n })
  }

  private textOf(sizeBytes: number): string {
    const text = String.fromCharCode(65 + this.version++).repeat(sizeBytes)
    this.states.push(text)
    return text
  }

  /** What is in it now; nothing where it was moved. */
  get last(): string | undefined {
    const seen = this.disk.tree("/")["from/file"]
    return seen?.kind === "file" ? seen.text : undefined
  }

  /** Writes without a trace in size and time of modification, unless that is what happens. */
  private write(what: (typeof Write.Type)["what"]): void {
    const { disk, last } = this
    if (last === undefined) return
    const inode = disk.find(source)
    if (what === "mode") return disk.setMode(inode, 0o600)
    const more = what === "longer" ? 1 : what === "shorter" ? -1 : 0
    disk.change(source, () => this.textOf(Math.max(0, last.length + more)))
    if (what === "touched") disk.touch(inode)
  }

  /** Writes whenever it is time to. */
  readonly before: FaultyFiles.Before = (call, path) =>
    Effect.sync(() => {
      this.isBegun ||= call === "open" && path === source
      const [next, ...others] = this.left
      // What is written between the last look at a source and the moment that it is put aside shows in no time.
      const isPutAside = call === "rename" && path === source
      if (!this.isBegun || next === undefined || this.calls++ < next.calls || isPutAside) return
      this.calls = 0
      this.left = others
      this.write(next.what)
    })
}

/** Whether what has come of it is one of the states that the file had, as far as it is told as a copy of it. */
const assertState = (written: Written, text: string | undefined, rows: ReadonlyArray<string>, count: number): void => {
  const state = text === undefined ? -1 : written.states.indexOf(text)
  if (rows.length === 0) assert.isAtLeast(state, 0, "neither a state of the file, nor told")
  else assert.match(rows.join(), /changed while|is another one by now|changed/)
  // Once is forgiven: it is copied again.
  if (count === 1) assert.deepStrictEqual(rows, [])
}

describe("A file that is written to while it is copied", () => {
  it.effect.prop(
    "has a copy of one state, or fails, whatever its times tell",
    {
      sizeBytes: Schema.Literals([1, 100 * KiB, 700 * KiB, 4096 * KiB, 9216 * KiB]),
      writes: Writes,
      together: Schema.Boolean,
      moves: Schema.Boolean,
      durable: Schema.Boolean,
      verify: Schema.Boolean,
      isHashed: Schema.Boolean,
      isRead: Schema.Boolean,
      stopsAt: Schema.OptionFromOptional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })))
    },
    ({ durable, isHashed, isRead, moves, sizeBytes, stopsAt, together, verify, writes }) =>
      Effect.gen(function*() {
        const disk = new MemoryFiles.Disk()
        disk.folder("/from")
        const written = new Written(disk, sizeBytes, writes)
        // A move to the same file system copies nothing.
        disk.device = 2n
        disk.folder("/to")
        disk.copiesByItself = !isRead
        let left = Option.getOrElse(stopsAt, () => -1)
        const before: FaultyFiles.Before = (call, path) =>
          Effect.andThen(
            written.before(call, path),
            Effect.suspend(() =>
              (call === "write" || call === "copy_file_range") && left-- === 0
                ? Effect.fail(FaultyFiles.error(call, path, "ENOSPC"))
                : Effect.void
            )
          )

        const { checksums, rows } = yield* copy(disk, {
          together,
          moves,
          durable,
          verify,
          before,
          conflict: "overwrite",
          goesOn: true,
          ...isHashed ? { checksums: "md5" } : {}
        })

        const seen = disk.tree("/to")["copy/file"]
        const text = seen?.kind === "file" ? seen.text : undefined
        assertState(written, text, rows, moves ? 0 : writes.length)
        if (isHashed && rows.length === 0 && text !== undefined) {
          assert.deepStrictEqual(checksums, [`${crypto.createHash("md5").update(text).digest("hex")}  /to/copy/file`])
        }
        // Nobody has what was written to it otherwise.
        if (moves && written.last === undefined) assert.isTrue(text === written.states.at(-1), "what was written last")
      }),
    { arbitrary: { runs: runs(400) } }
  )

  it.effect.prop(
    "has an object of one state, or fails, whatever its times tell",
    {
      sizeBytes: Schema.Literals([1, 100 * KiB, 700 * KiB, 2500 * KiB]),
      writes: Writes,
      moves: Schema.Boolean,
      verify: Schema.Boolean,
      isHashed: Schema.Boolean,
      kill: Schema.OptionFromOptional(Schema.Struct({
        at: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })),
        when: Schema.Literals(["before", "after"])
      }))
    },
    ({ isHashed, kill, moves, sizeBytes, verify, writes }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts)
        const written = new Written(world.disk, sizeBytes, writes)

        const { rows } = yield* World.copy(world, "/from", "s3://bucket/copy", {
          files: written.before,
          conflict: "overwrite",
          moves,
          request: { ...verify ? { verify } : {}, ...isHashed ? { checksums: { algorithm: "md5" } } : {} },
          ...Option.isSome(kill) ? { kill: kill.value } : {}
        })

        const object = yield* Effect.option(World.read(world, "copy/file"))
        const text = Option.getOrUndefined(Option.map(object, ({ text }) => text))
        assertState(written, text, rows, moves ? 0 : writes.length)
        if (moves && written.last === undefined) assert.isTrue(text === written.states.at(-1), "what was written last")
      }),
    { arbitrary: { runs: runs(200) } }
  )
})
