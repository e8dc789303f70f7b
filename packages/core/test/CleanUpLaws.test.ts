import { assert, describe, it } from "@effect/vitest"
import type * as JobStore from "@fanout/core/JobStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import * as CleanUpWorld from "./CleanUpWorld.ts"
import { onStores } from "./stores.ts"

const cleanUpLaws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the law of clean-ups (${backend})`, () => {
    it.effect.prop(
      "who is cancelled was cleaned up after by its last owner, and who is asked to is cancelled in the end",
      { world: CleanUpWorld.World },
      ({ world }) =>
        Effect.scoped(CleanUpWorld.run(world)).pipe(
          Effect.provide(Layer.fresh(store)),
          Effect.provide(Layer.fresh(TestClock.layer({ warningDelay: "1 minute" }))),
          Effect.map((wrong) => assert.strictEqual(wrong.join("\n"), ""))
        ),
      { arbitrary: { runs: runs(40), size: 40 } }
    )
  })

onStores(cleanUpLaws)
