import { assert, describe, it } from "@effect/vitest"
import type { Capabilities, StoreReason } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/testing/TestClock"
import { stride } from "../../../test/effort.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

/** Where copies go: to the same provider, whose store copies, or to another one. */
const providers = ["memory", "elsewhere"] as const

const there = ({ other }: World.World) => ({ store: other })

/** Objects with and without a time, in folders, an empty one among them. */
const plant = (world: World.World) =>
  Effect.gen(function*() {
    yield* World.put(world, "x/a", "text of a", { mtime: "1700000000.5", mode: "0100640", own: "mine" })
    yield* World.put(world, "x/b/c", "text of c")
    yield* World.put(world, "x/b/none", "")
    yield* World.put(world, "x/empty/", "")
    yield* World.put(world, "x/deep/er/", "")
  })

const keys = ["copy/a", "copy/b/c", "copy/b/none", "copy/deep/er/", "copy/empty/"]

/** A store in which all above a part is copied in parts, and the beginning of an object is no condition. */
const withoutConditions: Capabilities = {
  ...World.ofSmallParts,
  conditions: { put: true, complete: false, copy: false }
}

/** A store with parts of 16 KiB, so that what is killed at each request takes little time. */
const ofTinyParts: Capabilities = {
  ...World.ofSmallParts,
  limits: { ...World.ofSmallParts.limits, putBytes: 2 ** 14, mostPartBytes: 2 ** 14 }
}

/** Kills before and after each request, and where the copy goes. */
const kills = providers.flatMap((provider) => [[provider, "before"], [provider, "after"]] as const)

const countOf = ({ requests }: World.World, call: string): number =>
  requests.filter((request) => request.startsWith(call)).length

describe("Copy from objects to objects", () => {
  it.effect.each<{ readonly reason: StoreReason; readonly conflict: Conflict.Mode }>([
    { reason: { _tag: "Unsupported", what: "NotImplemented" }, conflict: "changed" },
    { reason: { _tag: "Unsupported", what: "NotImplemented" }, conflict: "skip" },
    { reason: { _tag: "PreconditionFailed" }, conflict: "changed" },
    { reason: { _tag: "PreconditionFailed" }, conflict: "skip" }
  ])("goes through this process where the store can't copy what is there ($reason._tag, $conflict)", ({
    conflict,
    reason
  }) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(withoutConditions)
      const texts = [["large", World.long(2)], ["none", ""], ["small", "text"]] as const
      for (const [name, text] of texts) yield* World.put(world, `x/${name}`, text, { own: name })
      world.before = ({ call }) =>
        call === "copy" || call === "copyPart" ? Effect.fail(World.failure(reason, call)) : Effect.void

      const { rows, state, units } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy", { conflict })

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      const copies = yield* Effect.forEach(texts, ([name]) => World.read(there(world), `copy/${name}`))
      assert.deepStrictEqual(copies.map(({ text }) => text), texts.map(([, text]) => text))
      assert.deepStrictEqual(copies.map(({ metadata }) => metadata["own"]), texts.map(([name]) => name))
      assert.isUndefined(units["serverCopied"])
      assert.deepStrictEqual(yield* World.openUploads(there(world)), [])
    }))

  it.effect.each(providers)("keeps content, metadata and empty folders (%s)", (provider) =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(MemoryStore.memoryCapabilities, provider)
      yield* plant(world)

      const { rows, state, tally } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.deepStrictEqual(yield* World.keys(there(world)), keys)
      const { metadata, text } = yield* World.read(there(world), "copy/a")
      assert.strictEqual(text, "text of a")
      assert.deepInclude(metadata, { mtime: "1700000000.5", mode: "0100640", own: "mine" })
      assert.deepInclude(tally.tags, { Copied: 3, FolderMade: 5, FolderEnded: 5 })
      assert.strictEqual(tally.units?.["bytes"], 18)
      assert.strictEqual(countOf(world, "get"), provider === "memory" ? 0 : 3)
    }))

  it.effect.each(providers)(
    "keeps the types of objects, however they are copied (%s)",
    (provider) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(World.ofSmallParts, provider)
        const attributes = { "cache-control": "no-cache", "content-encoding": "br", "content-type": "text/x-own" }
        const texts = { empty: "", small: "text", large: World.long(2) }
        for (const [name, text] of Object.entries(texts)) {
          yield* World.put(world, `x/${name}.css`, text, {}, attributes)
        }

        const { rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        for (const name of Object.keys(texts)) {
          assert.deepStrictEqual((yield* World.read(there(world), `copy/${name}.css`)).attributes, attributes, name)
        }
      })
  )

  it.effect.each(providers)(
    "asks for no object a second time, if nothing has changed (%s)",
    (provider) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(MemoryStore.memoryCapabilities, provider)
        for (let n = 0; n < 1200; n++) yield* World.put(world, `x/${n % 3}/${n}`, `text ${n}`)
        yield* World.put(world, "x/empty/", "")

        const first = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")
        yield* TestClock.adjust("1 hour")
        yield* World.put(world, "x/0/0", "TEXT 0")
        const second = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

        assert.strictEqual(first.tally.tags?.["Copied"], 1200)
        assert.deepInclude(second.tally.tags, { Copied: 1, Unchanged: 1199 })
        // Only what is below a source is listed, so its marker is looked for; and both times of what differs.
        assert.deepStrictEqual(
          world.requests.filter((request) => !request.startsWith("list")).toSorted(),
          [
            ...provider === "memory" ? ["copy copy/0/0"] : ["get x/0/0", "put copy/0/0"],
            "head copy/0/0",
            "head x/",
            "head x/0/0"
          ].toSorted()
        )
        assert.strictEqual((yield* World.read(there(world), "copy/0/0")).text, "TEXT 0")
      })
  )

  it.effect.each<readonly [mode: Conflict.Mode, text: string, rows: number, other: string | undefined]>([
    ["changed", "mine!", 0, undefined],
    ["overwrite", "mine!", 0, undefined],
    ["skip", "theirs", 1, undefined],
    ["error", "theirs", 1, undefined],
    ["rename", "theirs", 0, "mine!"]
  ])(
    "decides about an object in the way as about a file (%s)",
    ([conflict, text, rows, other]) =>
      Effect.gen(function*() {
        const kinds = [MemoryStore.memoryCapabilities, withoutConditions].flatMap((capabilities) =>
          providers.flatMap((provider) => [{ capabilities, provider, isListed: true }, {
            capabilities,
            provider,
            isListed: false
          }])
        )
        for (const { capabilities, isListed, provider } of kinds) {
          const world = yield* World.makeWorld(capabilities, provider)
          yield* World.put(world, "x/a.txt", "mine!")
          // It comes after the listing, or is in it.
          const come = World.put(there(world), "copy/a.txt", "theirs")
          if (isListed) yield* come
          else world.after = ({ call, key }) => call === "list" && key === "copy/" ? Effect.asVoid(come) : Effect.void

          const result = yield* World.copy(world, "s3://bucket/x", "s3://other/copy", { conflict })

          assert.strictEqual((yield* World.read(there(world), "copy/a.txt")).text, text)
          assert.strictEqual(result.rows.length, rows, result.rows.join())
          const renamed = yield* Effect.option(World.read(there(world), "copy/a (1).txt"))
          assert.strictEqual(Option.getOrUndefined(renamed)?.text, other)
        }
      })
  )

  it.effect.each<readonly [source: string, destination: string, why: RegExp]>([
    ["s3://bucket/x", "s3://bucket/x/y", /into itself/],
    ["s3://bucket/x/", "s3://bucket/x/", /into itself/],
    ["s3://bucket", "s3://bucket/x", /into itself/],
    ["s3://bucket/x", "s3://bucket/x", /same file/],
    ["s3://bucket/x/a", "s3://bucket/x/a", /same file/],
    ["s3://bucket/x/a", "s3://bucket/x/", /same file/]
  ])(
    "is refused where it would never end, or copy something onto itself (%s to %s)",
    ([source, destination, why]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text")

        const { message } = yield* Effect.flip(World.plan(world, source, destination))

        assert.match(message, why)
      })
  )

  it.effect("copies beside itself what only begins alike", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      yield* World.put(world, "x/a", "text")

      yield* World.copy(world, "s3://bucket/x", "s3://bucket/xy")
      yield* World.copy(world, "s3://bucket/x/a", "s3://bucket/x/a/b")

      assert.deepStrictEqual(yield* World.keys(world), ["x/a", "x/a/b", "xy/a"])
    }))

  it.effect.each(providers)("copies anew what changes while it is copied (%s)", (provider) =>
    Effect.gen(function*() {
      for (const [parts, call] of [[1, "copy"], [1, "get"], [3, "copyPart"], [3, "get"]] as const) {
        const world = yield* World.makeWorld(World.ofSmallParts, provider)
        const [before, after] = parts === 1 ? ["text", "other"] : [World.long(parts), `${World.long(parts)}more`]
        yield* World.put(world, "x/a", before)
        let isOver = false
        world.before = (request) => {
          if (isOver || request.call !== call) return Effect.void
          isOver = true
          return Effect.asVoid(World.put(world, "x/a", after))
        }

        const { rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

        assert.deepStrictEqual([state._tag, rows], ["Completed", []], `${call} of ${parts}`)
        assert.isTrue((yield* World.read(there(world), "copy/a")).text === (isOver ? after : before))
        assert.deepStrictEqual(yield* World.openUploads(there(world)), [])
      }
    }))

  it.effect("fails what goes on changing, and what is gone is left out", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const name of ["changes", "goes", "stays"]) yield* World.put(world, `x/${name}`, name)
      let times = 0
      world.before = ({ call, key }) =>
        call !== "copy"
          ? Effect.void
          : key === "copy/changes"
          ? Effect.asVoid(World.put(world, "x/changes", `text ${times++}`))
          : key === "copy/goes"
          ? Effect.asVoid(world.store.remove(["x/goes"]))
          : Effect.void

      const { rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

      assert.strictEqual(state._tag, "CompletedWithErrors")
      assert.deepStrictEqual(rows.toSorted().map((row) => row.replaceAll(/"/g, "")), [
        "s3://bucket/x/changes: s3://bucket/x/changes changed while it was copied",
        "s3://bucket/x/goes: it vanished"
      ])
      assert.deepStrictEqual(yield* World.keys(there(world)), ["copy/stays"])
    }))

  it.effect("takes a copy for its own that was made, and answered by a 503", () =>
    Effect.gen(function*() {
      for (const conflict of ["error", "rename"] as const) {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text")
        world.after = ({ call }) => {
          if (call !== "copy") return Effect.void
          world.after = () => Effect.void
          return Effect.fail(World.failure({ _tag: "Throttled", code: "503" }, "copy"))
        }

        const { rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy", { conflict })

        assert.deepStrictEqual([state._tag, rows], ["Completed", []])
        assert.deepStrictEqual(yield* World.keys(there(world)), ["copy/a"])
        assert.strictEqual(countOf(world, "copy copy/a"), 2)
      }
    }))

  it.effect.each(
    kills
  )(
    "goes on where its process was killed (%s, %s any request)",
    ([provider, when]) =>
      Effect.gen(function*() {
        const text = World.long(1).slice(0, 6 * 2 ** 14 + 1)
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(ofTinyParts, provider)
          yield* plant(world)
          yield* World.put(world, "x/large", text)

          const { isKilled, rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy", {
            conflict: at % 2 === 0 ? "changed" : "rename",
            kill: { at, when }
          })

          const message = `killed ${when} request ${at}, ${world.requests[at - 1]}`
          assert.deepStrictEqual([state._tag, rows], ["Completed", []], message)
          assert.deepStrictEqual(yield* World.keys(there(world)), [...keys, "copy/large"], message)
          assert.isTrue((yield* World.read(there(world), "copy/large")).text === text, message)
          assert.deepStrictEqual(yield* World.openUploads(there(world)), [], message)
          // What was answered for is not done again. Four parts are under way at the same time.
          const call = provider === "memory" ? "copyPart" : "putPart"
          assert.isAtMost(countOf(world, call), isKilled ? 7 + 4 : 7, message)
          if (!isKilled) break
        }
      })
  )

  it.effect("has no more in memory than it may, and always enough to go on", () =>
    Effect.gen(function*() {
      // Together these have more than may be in memory.
      const world = yield* World.makeWorld({ ...MemoryStore.memoryCapabilities, checksum: undefined }, "elsewhere")
      const text = "x".repeat(48 * 2 ** 20)
      for (const name of ["a", "b", "c"]) yield* World.put(world, `x/${name}`, text)
      let [parts, most] = [0, 0]
      world.before = ({ call }) => {
        if (call === "get") most = Math.max(most, ++parts)
        if (call === "putPart") parts--
        return Effect.yieldNow
      }

      const { rows, state } = yield* World.copy(world, "s3://bucket/x", "s3://other/copy")

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.strictEqual(most, 12)
      for (const name of ["a", "b", "c"]) {
        assert.isTrue((yield* World.read(there(world), `copy/${name}`)).text === text)
      }
    }))
})
