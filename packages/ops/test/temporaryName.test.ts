import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const Token = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 36 ** 7 - 1 }))
const job = JobId.make("1234567890ab")
const target = FilePath.make("/folder/file")
const name = TemporaryName.make

/** Sweeps `/folder`. */
const sweep = (disk: MemoryFiles.Disk, options: { readonly before?: number } = {}) =>
  Effect.flatMap(
    Files.Files.use((files) => files.folder(FilePath.make("/folder"))),
    (folder) => TemporaryName.sweep({ folder, job, ...options })
  ).pipe(Effect.provide(MemoryFiles.layer(disk)))

describe("TemporaryName", () => {
  it.prop(
    "says whose it is, in a name of fixed length",
    { job: JobId.JobId, token: Token, target: Schema.NonEmptyString },
    ({ job, target, token }) => {
      const made = TemporaryName.make(job, token, FilePath.join(FilePath.make("/folder"), nameOf(target)))

      assert.strictEqual(FilePath.toBytes(made).length, 48)
      assert.match(made, /^\.[a-z0-9-]+$/)
      assert.deepStrictEqual(Option.map(TemporaryName.parse(made), (_) => _.token), Option.some(token))
      assert.isTrue(TemporaryName.isOf(job, made))
      assert.isFalse(TemporaryName.isOf(job, made, token))
      assert.isTrue(TemporaryName.isOf(job, made, token + 1))
    }
  )

  it("tells jobs, owners and files apart", () => {
    const names = new Set<string>()
    for (let i = 0; i < 20_000; i++) names.add(name(job, 1, FilePath.make(`/folder/${i}`)))
    for (let i = 0; i < 20_000; i++) names.add(name(JobId.make(`job-${i}`), 1, target))
    for (let i = 0; i < 20_000; i++) names.add(name(job, i + 2, target))

    assert.strictEqual(names.size, 60_000)
  })

  it("can't be had for two files by somebody who chooses their names: it depends on the job, too", () => {
    const digits = (job: string) => name(JobId.make(job), 1, target).slice(31)
    assert.notStrictEqual(digits("job-1"), digits("job-2"))
    assert.strictEqual(digits("job-1").length, 17)
  })

  it("tells for which file a name was made, by whichever owner", () => {
    const made = name(job, 3, target)
    assert.isTrue(TemporaryName.isOf(job, made, 4))
    assert.isTrue(TemporaryName.isFor(job, made, target))
    assert.isFalse(TemporaryName.isFor(job, made, FilePath.make("/folder/other")))
    assert.isFalse(TemporaryName.isFor(JobId.make("job-2"), made, target))
  })

  it("knows names of older versions, which had fewer digits for the file", () => {
    const older = FilePath.make(`${name(job, 3, target).slice(0, 31)}0xlt6b417bw51y`)
    assert.isTrue(TemporaryName.isOf(job, older, 4))
    assert.isTrue(TemporaryName.isFor(job, older, target))
    assert.isFalse(TemporaryName.isFor(job, older, FilePath.make("/folder/other")))
  })

  it("takes nothing else for its own", () => {
    const own = name(job, 1, target)
    for (const other of ["", ".fanout", own.slice(1), `${own}0`, own.slice(0, -1), own.toUpperCase(), `x${own}`]) {
      assert.isTrue(Option.isNone(TemporaryName.parse(FilePath.make(other))), other)
    }
  })

  const plant = () => {
    const disk = new MemoryFiles.Disk()
    disk.folder("/folder")
    const kept = [name(JobId.make("other"), 1, target), "file", ".fanout", `${name(job, 1, target)}.jpg`]
    const own = [1, 2, 3].map((token) => name(job, token, target))
    for (const name of [...kept, ...own]) disk.file(`/folder/${name}`, "")
    const unfinished = `/folder/${name(job, 1, FilePath.make("/folder/x"))}`
    disk.folder(unfinished, { mode: 0o1700 })
    disk.folder(`${unfinished}/below`)
    disk.file(`${unfinished}/below/file`, "half")
    disk.symlink(`${unfinished}/link`, "/folder")
    disk.symlink(`/folder/${name(job, 1, FilePath.make("/folder/link"))}`, "nowhere")
    return { disk, kept, own }
  }

  it.effect("sweeps what former owners left, and nothing else", () =>
    Effect.gen(function*() {
      for (const tellsKinds of [true, false]) {
        const { disk, kept, own } = plant()
        disk.tellsKinds = tellsKinds

        const removed = yield* sweep(disk, { before: 3 })

        assert.strictEqual(removed, 4)
        assert.deepStrictEqual(Object.keys(disk.tree("/folder")).toSorted(), [...kept, ...own.slice(2)].toSorted())
      }
    }))

  it.effect("leaves a folder that was given the name of one that is not whole", () =>
    Effect.gen(function*() {
      const others = [{ mode: 0o700, owner: 0 }, { mode: 0o1700, owner: 5 }]
      for (const { mode, owner } of others) {
        const disk = new MemoryFiles.Disk()
        const folder = `/folder/${name(job, 1, target)}`
        for (const path of ["/folder", folder, `/folder/${name(job, 2, target)}`]) disk.folder(path, { mode })
        for (const path of [folder, `/folder/${name(job, 2, target)}`]) {
          disk.setOwner(disk.find(FilePath.make(path)), { owner, group: 0 })
        }
        disk.file(`${folder}/file`, "precious")

        yield* sweep(disk)

        // One that is empty is no loss.
        const left = FilePath.name(FilePath.make(folder))
        assert.deepStrictEqual(Object.keys(disk.tree("/folder")), [left, `${left}/file`])
      }
    }))

  it.effect("sweeps what every owner left when the job is given up", () =>
    Effect.gen(function*() {
      const { disk, kept } = plant()

      assert.strictEqual(yield* sweep(disk), 5)
      assert.strictEqual(yield* sweep(disk), 0)

      assert.deepStrictEqual(Object.keys(disk.tree("/folder")).toSorted(), kept.toSorted())
    }))

  it.effect("removes nothing once the job may be somebody else's", () =>
    Effect.gen(function*() {
      const { disk } = plant()
      const before = disk.tree("/folder")

      const error = yield* sweep(disk).pipe(
        Effect.provideService(Lease.Lease, {
          job: Option.none(),
          token: 3,
          isHeldUnsafe: () => false,
          heldUntilUnsafe: Option.none
        }),
        Effect.flip
      )

      assert.strictEqual(error._tag, "Interrupted")
      assert.deepStrictEqual(disk.tree("/folder"), before)
    }))
})

const nameOf = (text: string): FilePath.FilePath => {
  const cleaned = text.toWellFormed().replaceAll(/[\0/]/g, "x")
  return FilePath.make(cleaned === "." || cleaned === ".." ? "x" : cleaned)
}
