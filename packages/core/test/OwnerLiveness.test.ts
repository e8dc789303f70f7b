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
})
