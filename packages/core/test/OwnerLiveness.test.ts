import { assert, describe, it } from "@effect/vitest"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Effect from "effect/Effect"

describe("OwnerLiveness", () => {
  const self = Effect.provide(OwnerLiveness.OwnerLiveness, OwnerLiveness.layerBlind, { local: true })

  it.effect("where it is blind names each owner, and calls none dead", () =>
    Effect.gen(function*() {
      const one = yield* self
      const other = yield* self

      assert.notDeepEqual(one.self, other.self)
      assert.isFalse(yield* one.isDead(other.self))
    }))

  it.effect("shows people an owner of another boot as dead, which proves nothing to a process", () =>
    Effect.gen(function*() {
      const owner = new OwnerLiveness.Owner({ machine: "m", boot: "b", process: "1-1" })
      const alive = { self: owner, isDead: () => Effect.succeed(false) }
      const seems = (other: Partial<OwnerLiveness.Owner>) =>
        OwnerLiveness.seemsDead(alive, new OwnerLiveness.Owner({ ...owner, ...other }))

      assert.isFalse(yield* seems({ process: "2-2" }))
      assert.isTrue(yield* seems({ boot: "other" }))
      assert.isFalse(yield* seems({ boot: "" }))
      assert.isFalse(yield* seems({ machine: "other", boot: "other" }))
    }))
})
