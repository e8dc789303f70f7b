import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type { Capabilities } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { stride } from "../../../test/effort.ts"
import type * as Conflict from "../src/internal/steps/conflict.ts"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

/** A store with parts of 16 KiB, so that what is killed at each request takes little time. */
const ofTinyParts: Capabilities = {
  ...World.ofSmallParts,
  limits: { ...World.ofSmallParts.limits, putBytes: 2 ** 14, mostPartBytes: 2 ** 14 }
}

const large = World.long(1).slice(0, 3 * 2 ** 14 + 1)

const contents: Readonly<Record<string, string>> = { "a": "text of a", "b/c": "text of c", "b/d": "text of d", large }

const there = ({ other }: World.World) => ({ store: other })

interface Way {
  readonly name: string
  readonly source: string
  readonly destination: string
  readonly provider?: string
}

const ways: ReadonlyArray<Way> = [
  { name: "up", source: "/from", destination: "s3://bucket/y" },
  { name: "down", source: "s3://bucket/x", destination: "/to/y" },
  { name: "between buckets", source: "s3://bucket/x", destination: "s3://other/y" },
  { name: "between providers", source: "s3://bucket/x", destination: "s3://other/y", provider: "elsewhere" },
  { name: "within a bucket", source: "s3://bucket/x", destination: "s3://bucket/y" }
]

/** Puts the files, and an empty folder, where an address or a path leads to. */
const plant = Effect.fnUntraced(function*(world: World.World, at: string) {
  const { disk } = world
  if (FilePath.isAddress(FilePath.make(at))) {
    for (const [name, text] of Object.entries(contents)) yield* World.put(world, `x/${name}`, text, { mtime: "7.5" })
    yield* World.put(world, "x/empty/", "")
  } else {
    for (const folder of ["b", "empty"]) disk.folder(`/from/${folder}`)
    for (const [name, text] of Object.entries(contents)) disk.file(`/from/${name}`, text, { modified: 7_500_000_000n })
  }
})

/** What is where an address or a path leads to: texts of files, and folders that are empty. */
const seen = Effect.fnUntraced(function*(world: World.World, at: string) {
  const found: Record<string, string> = {}
  const address = /^s3:\/\/([^/]+)\/(.*)$/.exec(at)
  if (address !== null) {
    const [, bucket, prefix] = address
    const place = bucket === "other" ? there(world) : world
    for (const key of yield* World.keys(place, `${prefix}/`)) {
      // It may be gone since it was listed.
      const object = yield* Effect.option(World.read(place, key))
      if (Option.isSome(object)) found[key.slice(`${prefix}/`.length)] = object.value.text
    }
  } else {
    const tree = world.disk.tree("/")
    for (const [path, one] of Object.entries(tree)) {
      const name = path.startsWith(`${at.slice(1)}/`) ? path.slice(at.length) : undefined
      if (name === undefined) continue
      if (one.kind === "file") found[name] = one.text
      if (one.kind === "folder" && !Object.keys(tree).some((other) => other.startsWith(`${path}/`))) {
        found[`${name}/`] = ""
      }
    }
  }
  return found
})

/** Whether nothing is left of a source, not even its folders. */
const isGone = Effect.fnUntraced(function*(world: World.World, at: string) {
  return FilePath.isAddress(FilePath.make(at))
    ? (yield* World.keys(world, "x")).length === 0
    : !Object.keys(world.disk.tree("/")).includes("from")
})

/** Looks at each request whether all files are there, and notes which are not. */
const watch = (world: World.World, source: string, destination: string): ReadonlySet<string> => {
  const lost = new Set<string>()
  const look = () =>
    Effect.gen(function*() {
      // In this order: what is not there any more has a copy by then.
      const left = yield* seen(world, source)
      const moved = yield* seen(world, destination)
      for (const [name, text] of Object.entries(contents)) {
        if (left[name] !== text && moved[name] !== text) lost.add(name)
      }
    }).pipe(Effect.orDie)
  Object.assign(world, { before: look, after: look })
  return lost
}

const all = { ...contents, "empty/": "" }

/** What another program, or a store that loses bytes, makes of an object that was just made of a text. */
const made = {
  same: (text: string) => text,
  shorter: (text: string) => text.slice(1),
  longer: (text: string) => `${text}.`,
  other: (text: string) => text.toUpperCase()
}

const Becomes = Schema.Literals(["same", "shorter", "longer", "other", "gone"])

describe("Move with objects", () => {
  it.effect.each(ways)(
    "takes all with it, folders too ($name)",
    ({ destination, provider, source }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(ofTinyParts, provider)
        yield* plant(world, source)
        const lost = watch(world, source, destination)

        const { rows, state, tally } = yield* World.move(world, source, destination)

        assert.deepStrictEqual([state._tag, rows, lost], ["Completed", [], new Set()])
        assert.deepStrictEqual(yield* seen(world, destination), all)
        assert.isTrue(yield* isGone(world, source))
        assert.strictEqual(tally.tags?.["Moved"], 4)
      })
  )

  it.effect.each(ways.flatMap((way) => (["before", "after"] as const).map((when) => ({ when, way }))))(
    "loses no file, and has each in one place in the end, where it is killed ($way.name, $when any request)",
    ({ way: { destination, provider, source }, when }) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(ofTinyParts, provider)
          yield* plant(world, source)
          const lost = watch(world, source, destination)

          const { isKilled, rows, state } = yield* World.move(world, source, destination, {
            conflict: at % 2 === 0 ? "overwrite" : "rename",
            kill: { at, when }
          })

          const message = `killed ${when} request ${at}, ${world.requests[at - 1]}`
          assert.deepStrictEqual([state._tag, rows, lost], ["Completed", [], new Set()], message)
          assert.deepStrictEqual(yield* seen(world, destination), all, message)
          assert.isTrue(yield* isGone(world, source), message)
          assert.deepStrictEqual(yield* World.openUploads(world), [], message)
          assert.deepStrictEqual(yield* World.openUploads(there(world)), [], message)
          if (!isKilled) break
        }
      })
  )

  it.effect.each(ways)(
    "waits at any request that nobody answers, and goes on by itself ($name)",
    (way) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(ofTinyParts, way.provider)
          yield* plant(world, way.source)
          world.before = ({ number }) =>
            number >= at ? Effect.fail(World.failure({ _tag: "Unreachable", code: "ECONNREFUSED" })) : Effect.void
          const whenStopped = Effect.sync(() => {
            world.before = () => Effect.void
          })

          const { rows, state, stopped } = yield* World.move(world, way.source, way.destination, { whenStopped })

          const message = `from request ${at}, ${world.requests[at - 1]}`
          assert.deepStrictEqual([state._tag, rows], ["Completed", []], message)
          assert.deepStrictEqual(yield* seen(world, way.destination), all, message)
          assert.isTrue(yield* isGone(world, way.source), message)
          assert.deepStrictEqual(yield* World.openUploads(world), [], message)
          if (stopped._tag === "Completed") break
        }
      })
  )

  it.effect.each(ways)(
    "moves what was refused at any request once it is tried again ($name)",
    (way) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(ofTinyParts, way.provider)
          yield* plant(world, way.source)
          let isRefused = false
          world.before = ({ call, number }) => {
            // What can't be listed pauses the job.
            if (number !== at || call === "list" || call === "listUploads") return Effect.void
            isRefused = true
            return Effect.fail(World.failure({ _tag: "Denied", code: "AccessDenied" }))
          }

          const { rows, state } = yield* World.move(world, way.source, way.destination, { whenStopped: Effect.void })

          const message = `at request ${at}, ${world.requests[at - 1]}`
          assert.deepStrictEqual([state._tag, rows], ["Completed", []], message)
          assert.deepStrictEqual(yield* seen(world, way.destination), all, message)
          assert.isTrue(yield* isGone(world, way.source), message)
          if (!isRefused && at > world.requests.length) break
        }
      })
  )

  it.effect.each(ways.filter(({ source }) => source !== "/from"))(
    "leaves an object that is another one by then ($name)",
    ({ destination, provider, source }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(MemoryStore.memoryCapabilities, provider)
        yield* World.put(world, "x/a", "text")
        let heads = 0
        // It is looked at right before it is removed.
        world.before = ({ call, key }) =>
          call === "head" && key === "x/a" && heads++ === 0
            ? Effect.asVoid(World.put(world, "x/a", "other"))
            : Effect.void

        const { rows, state } = yield* World.move(world, source, destination)

        assert.strictEqual(state._tag, "CompletedWithErrors")
        assert.match(rows.join(), /"s3:\/\/bucket\/x\/a" changed while it was copied/)
        assert.strictEqual((yield* World.read(world, "x/a")).text, "other")
        assert.deepStrictEqual(yield* seen(world, destination), { a: "text" })
      })
  )

  it.effect.each(ways.filter(({ source, destination }) => [source, destination].every((one) => one.startsWith("s3:"))))(
    "leaves an object that is another one by then, also after a kill ($name)",
    ({ destination, provider, source }) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(MemoryStore.memoryCapabilities, provider)
          yield* World.put(world, "x/a", "text")
          let isPut = false
          // Who goes on has listed the source before it looks at the copy.
          world.before = ({ call, key, number }) => {
            if (isPut || number <= at || call !== "head" || key !== "y/a") return Effect.void
            isPut = true
            return Effect.asVoid(World.put(world, "x/a", "NEWER TEXT"))
          }

          const { isKilled } = yield* World.move(world, source, destination, { kill: { at, when: "before" } })

          const left = [yield* seen(world, source), yield* seen(world, destination)].map(({ a }) => a)
          if (isPut) assert.include(left, "NEWER TEXT", `killed before request ${at}, ${world.requests[at - 1]}`)
          if (!isKilled) break
        }
      })
  )

  it.effect.each(ways)(
    "leaves what is in the way, and its source ($name)",
    ({ destination, provider, source }) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld(ofTinyParts, provider)
        yield* plant(world, source)
        if (destination.startsWith("s3://bucket/")) yield* World.put(world, "y/a", "theirs")
        else if (destination.startsWith("s3://other/")) yield* World.put(there(world), "y/a", "theirs")
        else {
          world.disk.folder(destination)
          world.disk.file(`${destination}/a`, "theirs")
        }

        const { state } = yield* World.move(world, source, destination, {
          conflict: "skip",
          request: { noTargetDirectory: true }
        })

        assert.strictEqual(state._tag, "Completed")
        assert.deepStrictEqual(yield* seen(world, destination), { ...all, a: "theirs" })
        assert.deepStrictEqual(yield* seen(world, source), { a: "text of a" })
      })
  )

  it.effect.each(ways.filter(({ source }) => source !== "/from"))(
    "leaves a marker that has content, and tells of it, also where it is tried again or killed ($name)",
    ({ destination, provider, source }) =>
      Effect.gen(function*() {
        for (let at = 1;; at += stride(5)) {
          const world = yield* World.makeWorld(MemoryStore.memoryCapabilities, provider)
          yield* World.put(world, "x/", "precious")
          yield* World.put(world, "x/d/", "precious, too")
          yield* World.put(world, "x/d/a", "text")

          const { isKilled, rows, state } = yield* World.move(world, source, destination, {
            kill: { at, when: "after" },
            whenStopped: Effect.void
          })

          assert.strictEqual(state._tag, "CompletedWithErrors")
          const why = "can't be a file: it ends with a slash and has content"
          assert.deepStrictEqual(rows, [
            `s3://bucket/x/: The object "x/" ${why}`,
            `s3://bucket/x/d/: The object "x/d/" ${why}`
          ])
          assert.deepStrictEqual(yield* seen(world, source), { "": "precious", "d/": "precious, too" })
          assert.strictEqual((yield* seen(world, destination))["d/a"], "text")
          if (!isKilled) break
        }
      })
  )

  it.effect.each(
    [["A", "a"], ["D/k", "d/k"]].flatMap((names) =>
      ["text", large].flatMap((text) => [false, true].map((moves) => ({ names, text, moves, size: text.length })))
    )
  )(
    "loses none of two that a disk takes for one name ($names, $size bytes, moves: $moves)",
    ({ moves, names, text }) =>
      Effect.gen(function*() {
        for (const conflict of ["overwrite", "changed", "skip", "rename"] as const) {
          const world = yield* World.makeWorld(ofTinyParts)
          const contents = names.map((name) => `${name} ${text}`)
          for (const [index, name] of names.entries()) {
            yield* World.put(world, `x/${name}`, contents[index] ?? "", { mtime: `${index}.5` })
          }
          world.disk.takes("/to", { fold: (name) => name.toLowerCase() })

          const { rows } = yield* World.copy(world, "s3://bucket/x", "/to/y", { conflict, moves })

          const moved = Object.values(yield* seen(world, "/to/y"))
          const left = Object.values(yield* seen(world, "s3://bucket/x"))
          assert.sameMembers(moves ? [...moved, ...left] : [...new Set([...moved, ...left])], contents, conflict)
          const isRenamed = conflict === "rename" && names[0] === "A"
          assert.strictEqual(moved.length, isRenamed ? 2 : 1, conflict)
          assert.strictEqual(rows.length === 0, isRenamed, conflict)
        }
      })
  )

  it.effect("drops what it has begun where it is cancelled, and leaves its source", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld(ofTinyParts)
      world.disk.file("/from/large", large)
      let isGone = false
      world.before = ({ call, key }) => {
        isGone ||= call === "putPart" && key.endsWith(" 3")
        return isGone ? Effect.fail(World.failure({ _tag: "Unreachable", code: "ECONNREFUSED" })) : Effect.void
      }

      const { state, stopped } = yield* World.move(world, "/from", "s3://bucket/y", {
        cancels: true,
        whenStopped: Effect.map(World.openUploads(world), (open) => {
          assert.strictEqual(open.length, 1)
          world.before = () => Effect.void
        })
      })

      assert.deepStrictEqual([stopped._tag, state._tag], ["Queued", "Cancelled"])
      assert.deepStrictEqual(yield* World.openUploads(world), [])
      assert.deepStrictEqual(yield* seen(world, "/from"), { large })
    }))

  it.effect("leaves a link where it is, and the folder that it is in", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      world.disk.folder("/from/b")
      world.disk.file("/from/b/a", "text")
      world.disk.symlink("/from/b/link", "a")

      const { rows } = yield* World.move(world, "/from", "s3://bucket/y")

      assert.match(rows.join(), /\/from\/b\/link: it is a link/)
      assert.deepStrictEqual(Object.keys(world.disk.tree("/from")), ["b", "b/link"])
      assert.deepStrictEqual(yield* World.keys(world), ["y/b/a"])
    }))

  it.effect.each<readonly [source: string, destination: string, why: RegExp]>([
    ["s3://bucket/x", "S3://bucket/x", /the scheme "S3" is not known/],
    ["S3://bucket/x", "s3://bucket/", /the scheme "S3" is not known/],
    ["s3://bucket/x/a", "S3://bucket/x/", /the scheme "S3" is not known/],
    ["s3://bucket/x", "s3://bucket/x//", /can't go into itself/],
    ["s3://bucket/x//", "s3://bucket/x", /are the same file/],
    ["s3://bucket/x//", "s3://bucket", /are the same file/],
    ["s3://bucket/x", "s3://bucket//", /are the same file/],
    ["s3://bucket", "s3://bucket/", /can't go into itself/],
    ["s3://bucket//", "s3://bucket/y", /can't go into itself/]
  ])(
    "moves no object onto or into itself, by whatever spelling (%s to %s)",
    ([source, destination, why]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text")

        const error = yield* Effect.flip(World.plan(world, source, destination))

        assert.match(error.message, why)
      })
  )

  it.effect.each<readonly [conflict: Conflict.Mode, left: ReadonlyArray<string>]>([
    ["changed", ["text"]],
    ["overwrite", ["text"]],
    ["error", ["text", "TEXT"]],
    ["rename", ["text", "TEXT"]],
    ["skip", ["text", "TEXT"]]
  ])(
    "takes no other object for the copy that the store has made, though its size and metadata are the same (%s)",
    ([conflict, left]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        yield* World.put(world, "x/a", "text", { mtime: "7.5" })
        world.before = ({ call, key }) =>
          call === "copy" && key === "y/a"
            ? Effect.asVoid(World.put(world, "y/a", "TEXT", { mtime: "7.5" }))
            : Effect.void

        yield* World.move(world, "s3://bucket/x", "s3://bucket/y", { conflict })

        const keys = yield* World.keys(world)
        const texts = yield* Effect.forEach(keys, (key) => World.read(world, key))
        assert.sameMembers(texts.map(({ text }) => text), [...left])
      })
  )

  it.effect.prop(
    "removes a source only if what is at the target is its copy",
    {
      becomes: Becomes,
      conflict: Schema.Literals(["overwrite", "skip", "rename", "error"]),
      isLarge: Schema.Boolean,
      index: Schema.Literals([0, 2, 3, 4])
    },
    ({ becomes, conflict, index, isLarge }) =>
      Effect.gen(function*() {
        const { destination, provider, source } = ways[index] ?? assert.fail()
        const world = yield* World.makeWorld(ofTinyParts, provider)
        const text = isLarge ? large : contents["a"] ?? ""
        if (source === "/from") world.disk.file("/from/a", text)
        else yield* World.put(world, "x/a", text, { mtime: "7.5" })
        const target = destination.startsWith("s3://other") ? there(world) : world
        let isMade = false
        world.after = ({ call, key }) => {
          if (isMade || key !== "y/a" || !["completeUpload", "copy", "put"].includes(call)) return Effect.void
          isMade = true
          return becomes === "gone"
            ? Effect.asVoid(target.store.remove(["y/a"]))
            : Effect.asVoid(World.put(target, "y/a", made[becomes](text)))
        }

        const { rows } = yield* World.move(world, source, destination, { conflict })

        assert.isTrue(isMade)
        const isCopy = (yield* seen(world, destination))["a"] === text
        assert.strictEqual((yield* seen(world, source))["a"], isCopy ? undefined : text)
        assert.strictEqual(rows.length, isCopy ? 0 : 1)
      })
  )

  it.effect.each<readonly [source: string, destination: string, inner: string]>([
    ["s3://bucket/x/b", "s3://bucket/x", "b/b/c"],
    ["s3://bucket/x/b/", "s3://bucket/x", "b/b"],
    ["s3://bucket/x/b", "s3://bucket/x", "b/b/"],
    ["s3://bucket/x/b/d", "s3://bucket/x", "b/d/b/d/c"]
  ])(
    "refuses to go out of a prefix over what is in that (%s to %s, where there is x/%s)",
    ([source, destination, inner]) =>
      Effect.gen(function*() {
        const world = yield* World.makeWorld()
        for (const key of ["b/c", "b/d/c", inner]) yield* World.put(world, `x/${key}`, "text")

        const error = yield* Effect.flip(World.plan(world, source, destination))

        assert.match(error.message, /^"s3:\/\/bucket\/x\/b.*" can't go to "s3:\/\/bucket\/x", since copies/)
      })
  )

  it.effect("moves out of a prefix into the one around it", () =>
    Effect.gen(function*() {
      const world = yield* World.makeWorld()
      for (const key of ["b/c", "b/d/b/e", "b/bb"]) yield* World.put(world, `x/${key}`, key)

      const { rows, state } = yield* World.move(world, "s3://bucket/x/b", "s3://bucket/x")

      assert.deepStrictEqual([state._tag, rows], ["Completed", []])
      assert.deepStrictEqual(yield* World.keys(world), ["x/bb", "x/c", "x/d/b/e"])
    }))
})
