import { assert, describe, it } from "@effect/vitest"
import { hasRoutines, withPlainTwins } from "../tools/plainRoutines.mjs"

/** What a module exports that is what its twins make of this text. */
const made = (text: string): Promise<Record<string, unknown>> =>
  import(`data:text/javascript,${encodeURIComponent(withPlainTwins(text, "made.js"))}`)

/** Calls that give their names. */
const calls = `const calls = new Proxy({}, { get: (_, name) => () => ({ now: () => name }) })`

describe("a plain twin", () => {
  it("makes calls at once, of routines that are functions, methods, and within others", async () => {
    const { result } = await made(`${calls}
      const now = () => { throw new Error("no twin") }
      class Class {
        calls = calls;
        *method(value) { return value + (yield* this.calls.one()) }
      }
      function* inner(value) {
        const object = { *method() { return yield* calls.two() } }
        function* local() { return yield* object.method() }
        return value + (yield* local())
      }
      export function* outer(value, open = calls.three()) {
        const both = (yield* new Class().method(value)) + (yield* inner(" "))
        return both + (yield* open)
      }
      export const result = now(outer, "of ")`)
    assert.strictEqual(result, "of one twothree")
  })

  it("is imported with its routine", () => {
    const text = `import { now } from "./routine.ts"
      import { other, unused as used } from "./other.ts"
      function* mine() { return yield* other() }
      export const both = () => [now(mine), now(used)]`
    assert.isTrue(hasRoutines(text))
    const twin = withPlainTwins(text, "made.ts")
    assert.include(twin, `import { other, other$now as other$now, unused as used, unused$now as used$now }`)
    assert.include(twin, "[mine$now(), used$now()]")
  })

  it.each([
    ["function* a() { yield 1 }", "a routine says `yield*`"],
    ["function* a() { calls.one() }", "`yield*` is missing before one"],
    ["function* b() {}\nfunction* a() { b() }", "`yield*` is missing before b"],
    ["function* a() { yield* c(); c() }", "`yield*` is missing before c"],
    ["class A { *b() {} *a() { this.b() } }", "`yield*` is missing before b"],
    ["function* a() { yield* (true ? b() : c()) }", "`yield*` of something that is neither a call nor a routine"],
    ["now(() => a())", "`now` does a routine by its name"]
  ])("is refused where it could not be the same: %s", (text, why) => {
    assert.throws(() => withPlainTwins(text, "made.js"), `made.js:${text.split("\n").length}: ${why}`)
  })

  it("is nothing for modules without routines", () => {
    assert.isFalse(hasRoutines(`import * as Effect from "effect/Effect"`))
  })
})
