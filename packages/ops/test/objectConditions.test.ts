import { assert, describe, it } from "@effect/vitest"
import type { Capabilities } from "@fanout/ops/ObjectStore"
import * as Effect from "effect/Effect"
import * as MemoryStore from "./memoryStore.ts"
import * as World from "./objectHarness.ts"

const names = ["a", "b", "c"]

/** Files that are copied by requests of their own, and together with others. */
const filled = (capabilities: Capabilities) =>
  Effect.gen(function*() {
    const world = yield* World.makeWorld(capabilities)
    for (const name of names) world.disk.file(`/from/${name}`, `text of ${name}`)
    return world
  })

/** A store that obeys no condition. It may turn out only once it is asked for one. */
const without = (isKnown: boolean): Capabilities => {
  let isAsked = isKnown
  return {
    ...MemoryStore.memoryCapabilities,
    conditions: {
      get put() {
        const isObeyed = !isAsked
        isAsked = true
        return isObeyed
      },
      complete: false,
      copy: false
    }
  }
}

const sent = ({ requests }: World.World) => requests.filter((one) => /^(?:put|head) copy\/a$/.test(one))

describe("A copy to a store without conditions", () => {
  it.effect.each(["changed", "overwrite", "skip", "rename", "error"] as const)(
    "puts all that there is, in the mode %s, whether or not the store is known for that",
    (conflict) =>
      Effect.gen(function*() {
        for (const isKnown of [true, false]) {
          const world = yield* filled(without(isKnown))

          const { rows, state, tally } = yield* World.copy(world, "/from", "s3://bucket/copy", { conflict })

          assert.deepStrictEqual([state._tag, rows], ["Completed", []])
          assert.strictEqual(tally.tags["Copied"], names.length)
          assert.deepStrictEqual(yield* World.keys(world), names.map((name) => `copy/${name}`))
        }
      })
  )

  it.effect("looks right before it puts what is to replace nothing, also where it finds out only then", () =>
    Effect.gen(function*() {
      for (const isKnown of [true, false]) {
        const world = yield* filled(without(isKnown))
        let isPut = false
        world.before = ({ call, key }) => {
          // Somebody puts an object behind the listing, and before the look.
          if (key !== "copy/a" || isPut || call !== (isKnown ? "head" : "put")) return Effect.void
          isPut = true
          return Effect.asVoid(world.store.put(key, new TextEncoder().encode("somebody else's")))
        }

        const { tally } = yield* World.copy(world, "/from", "s3://bucket/copy", { atOnce: 1, conflict: "skip" })

        assert.isTrue(isPut)
        assert.deepInclude(tally, { skipped: 1, failed: 0 })
        assert.strictEqual((yield* World.read(world, "copy/a")).text, "somebody else's")
      }
    }))

  it.effect("looks at nothing in the mode that replaces anything", () =>
    Effect.gen(function*() {
      for (const request of [{}, { verify: true }] as const) {
        const world = yield* filled(without(true))

        yield* World.copy(world, "/from", "s3://bucket/copy", { conflict: "overwrite", request })

        assert.deepStrictEqual(sent(world), ["put copy/a"])
      }
    }))
})
