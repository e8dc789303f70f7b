import { assert, describe, it } from "@effect/vitest"
import type * as JobStore from "@fanout/core/JobStore"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { runs } from "../../../test/effort.ts"
import * as DispatchTree from "./DispatchTree.ts"
import { onStores } from "./stores.ts"

let jobs = 0

const quick: DispatchTree.Node = {
  parent: 1,
  start: "run",
  kind: "Light",
  pool: "a",
  priority: "normal",
  narrows: null,
  work: "nothing",
  children: "together",
  end: "done",
  lingers: false
}

it.effect("a race in a race stops the tasks of the outer one once the inner one is over", () =>
  Effect.gen(function*() {
    const tree: DispatchTree.Tree = {
      sizes: { a: 1, b: 1 },
      nodes: [
        { ...quick, parent: 0, children: "raced" },
        // With one permit for all, the second begins after the first has won, and the third after the second has ended.
        { ...quick, lingers: true },
        { ...quick, lingers: true },
        quick
      ],
      actions: [],
      stop: null
    }
    const seen = yield* DispatchTree.run(`job-${jobs++}`, tree)
    assert.deepStrictEqual(seen.wrongReasons, [])
  }).pipe(Effect.provide(MemoryJobStore.layer)))

const dispatcherLaws = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`the laws of a dispatcher (${backend})`, () => {
    const law = (name: string, check: (seen: DispatchTree.Seen) => void) =>
      it.effect.prop(
        name,
        { tree: DispatchTree.Tree, isCrowded: Schema.Boolean },
        ({ isCrowded, tree }) =>
          Effect.gen(function*() {
            check(yield* DispatchTree.run(`job-${jobs++}`, isCrowded ? DispatchTree.crowded(tree) : tree))
          }).pipe(Effect.provide(store)),
        { arbitrary: { runs: runs(100), size: 40 } }
      )

    law("no nesting deadlocks pools of any size, through pauses, cancels and stops", (seen) => {
      assert.isFalse(seen.hangs)
      assert.strictEqual(seen.wrongEnds.join("\n"), "")
    })

    law("no more permits are in use than there are, and all come back", (seen) => {
      assert.strictEqual(seen.overdrawn.join("\n"), "")
      assert.deepStrictEqual(seen.leaking, [])
    })

    law("every stop has its reason, in handlers and finalizers", (seen) => {
      assert.strictEqual(seen.wrongReasons.join("\n"), "")
    })

    law("nothing runs when its run is over, and no fiber, signal or listener is left", (seen) => {
      assert.strictEqual(seen.survivors.join("\n"), "")
      assert.deepStrictEqual([seen.orphans, seen.fibers, seen.attached], [0, 0, 0])
    })
  })

onStores(dispatcherLaws)
