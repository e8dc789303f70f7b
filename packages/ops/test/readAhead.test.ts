import { assert, describe, it } from "@effect/vitest"
import { Interrupter, makeUnsafe } from "@fanout/core/Interrupter"
import { settle } from "@fanout/core/testing"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import { FilesError } from "@fanout/ops/FilesError"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as PieceBuffers from "../src/internal/content/pieceBuffers.ts"
import * as ReadAhead from "../src/internal/content/readAhead.ts"
import { hashOpen } from "../src/internal/hash/fileHash.ts"
import { digestOf } from "../src/internal/steps/readBack.ts"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { testFolder } from "./TestFolder.ts"

const mebi = 2 ** 20
const large = 128 * mebi
const path = FilePath.make("/file")

/** Eleven mebibytes are three pieces: the first is small. */
const content = Buffer.alloc(11 * mebi, "some text")

const withFile = <A, E, R>(
  before: FaultyFiles.Before,
  use: (file: Files.OpenFile) => Effect.Effect<A, E, R>
) => {
  const disk = new MemoryFiles.Disk()
  disk.file(path, content)
  return Effect.scoped(Effect.flatMap(FaultyFiles.intercept(MemoryFiles.make(disk), before).open(path), use))
}

const onRead = (then: () => Effect.Effect<void, FilesError>): FaultyFiles.Before => (call) =>
  call === "read" ? then() : Effect.void

const nothing = (): void => {}

const readAhead = (file: Files.OpenFile, use: (piece: Uint8Array) => void) =>
  Effect.scoped(Effect.flatMap(
    PieceBuffers.borrow(large),
    (pieces) => pieces === undefined ? Effect.die("they are lent") : ReadAhead.readAhead(file, pieces, use)
  ))

const readAheadOf = (use: (piece: Uint8Array) => void) => withFile(() => Effect.void, (file) => readAhead(file, use))

describe("a file that is read ahead", () => {
  it.effect("is given piece by piece, each while the next one is read", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const pieces: Array<Buffer> = []
      const before = onRead(() =>
        Effect.sync(() => {
          log.push("read")
        })
      )
      yield* withFile(before, (file) =>
        readAhead(file, (piece) => {
          log.push(`use ${piece.length / mebi}`)
          pieces.push(Buffer.from(piece))
        }))
      assert.deepStrictEqual(log, ["read", "read", "use 2", "read", "use 8", "read", "use 1"])
      assert.isTrue(Buffer.concat(pieces).equals(content))
    }))

  it("is a large one", () => {
    assert.isFalse(PieceBuffers.pay(large - 1))
    assert.isTrue(PieceBuffers.pay(large))
  })

  it.effect("is the only one until it was read, or could not be", () =>
    Effect.gen(function*() {
      const paid: Array<boolean> = []
      yield* readAheadOf(() => void paid.push(PieceBuffers.pay(large)))
      assert.deepStrictEqual(paid, [false, false, false])
      assert.isTrue(PieceBuffers.pay(large))
      let reads = 0
      const error = new FilesError({ call: "read", path, target: Option.none(), code: "EIO" })
      const failing = onRead(() => ++reads === 2 ? Effect.fail(error) : Effect.void)
      assert.strictEqual(yield* Effect.flip(withFile(failing, (file) => readAhead(file, nothing))), error)
      assert.isTrue(PieceBuffers.pay(large))
    }))

  it.effect("is left after a piece where that is asked for", () =>
    Effect.gen(function*() {
      const signal = makeUnsafe()
      let used = 0
      const stopping = readAheadOf(() => {
        used++
        signal.requestUnsafe("Pause")
      })
      const error = yield* Effect.flip(Effect.provideService(stopping, Interrupter, signal))
      assert.strictEqual(error._tag, "Interrupted")
      assert.strictEqual(used, 1)
      assert.isTrue(PieceBuffers.pay(large))
    }))

  it.effect("is used while it is read, and not closed before what was asked of it has come", () =>
    Effect.gen(function*() {
      const latch = yield* Deferred.make<void>()
      const log: Array<string> = []
      let reads = 0
      const before: FaultyFiles.Before = (call) => {
        if (call === "close") return Effect.sync(() => void log.push("close"))
        if (call !== "read" || ++reads !== 2) return Effect.void
        return Effect.uninterruptible(Effect.andThen(Deferred.await(latch), Effect.sync(() => void log.push("read"))))
      }
      const fiber = yield* Effect.forkChild(
        withFile(
          before,
          (file) => Effect.ensuring(readAhead(file, () => void log.push("use")), file.close.pipe(Effect.ignore))
        )
      )
      yield* settle
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(fiber))
      yield* settle
      assert.deepStrictEqual(log, ["use"])
      yield* Deferred.succeed(latch, undefined)
      yield* Fiber.join(interrupted)
      assert.deepStrictEqual(log, ["use", "read", "close"])
      assert.isTrue(PieceBuffers.pay(large))
    }))
})

describe("files that are large", () => {
  it.effect("are read back so, and what fails is the destination's", () =>
    Effect.gen(function*() {
      const digest = yield* withFile(() => Effect.void, (file) => digestOf(file, large, "sha256"))
      assert.strictEqual(digest, crypto.createHash("sha256").update(content).digest("hex"))
      const error = new FilesError({ call: "read", path, target: Option.none(), code: "EIO" })
      const failing = onRead(() => Effect.fail(error))
      const failed = yield* Effect.flip(withFile(failing, (file) => digestOf(file, large, "sha256")))
      assert.deepInclude(failed, { reason: { _tag: "CallFailed", side: "destination", error } })
    }))

  it.effect("have the digests of all of their content, several at the same time", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const names = ["a", "b"].map((name) => FilePath.join(folder, FilePath.make(name)))
      // Mostly a hole, to be made quickly.
      for (const name of names) {
        fs.writeFileSync(name, name)
        fs.truncateSync(name, large)
        fs.appendFileSync(name, "the end")
      }
      const files = yield* Files.Files
      const digests = yield* Effect.forEach(names, (name) =>
        Effect.scoped(Effect.gen(function*() {
          const file = yield* files.open(name)
          const hashed = yield* hashOpen(file, yield* file.stat, "sha256")
          return hashed?.digest
        })), { concurrency: 2 })
      const expected = names.map((name) => crypto.createHash("sha256").update(fs.readFileSync(name)).digest("hex"))
      assert.deepStrictEqual(digests, expected)
    }).pipe(Effect.provide(SystemFiles.layer), Effect.scoped))
})
