import { assert, describe, it } from "@effect/vitest"
import type * as Schema from "effect/Schema"
import * as jobText from "../src/ui/jobText.ts"

const copyOf = (
  sources: ReadonlyArray<string>,
  options?: {
    readonly noTargetDirectory?: boolean
    readonly rules?: ReadonlyArray<string>
    readonly checksums?: { readonly algorithm: string; readonly output: string }
  }
) => ({
  request: { sources, destination: "/to", noTargetDirectory: false, conflict: "skip", ...options },
  transfers: sources.map((source) => ({ source, target: `/to${source}` })),
  leaveOut: []
})

const field = (name: string, payload: Schema.Json) => jobText.field({ name, payload })

describe("work", () => {
  it("says what is copied, and where to", () => {
    assert.deepStrictEqual(field("copy", copyOf(["/a"], { noTargetDirectory: true })), [
      "copies",
      `"/a" to "/to/a", with --conflict skip -T`
    ])
    assert.deepStrictEqual(field("copy", copyOf(["/a", "/b", "/c", "/d", "/e"])), [
      "copies",
      `"/a", "/b", "/c" and 2 more to "/to", with --conflict skip`
    ])
  })

  it("says in a few words what is done with what", () => {
    const title = (name: string, payload: Schema.Json) => jobText.title({ name, payload })
    assert.strictEqual(title("copy", copyOf(["/x/a"])), "copy a → /to/x/a")
    assert.strictEqual(title("move", copyOf(["/x/a", "/x/b", "/c"])), "move a and 2 more → /to")
    assert.strictEqual(title("hash", { sources: ["/"], algorithm: "sha1", leaveOut: [] }), "hash /")
    assert.strictEqual(title("club/Mailing", { of: 1 }), "club/Mailing")
    assert.strictEqual(title("copy", { of: 1 }), "copy")
  })

  it("says by how many rules a copy is filtered", () => {
    assert.include(field("copy", copyOf(["/a"], { rules: ["*.o"] }))[1], "--conflict skip, filtered by 1 rule")
    assert.include(field("copy", copyOf(["/a"], { rules: ["*.o", "!a.o"] }))[1], ", filtered by 2 rules")
  })

  it("says which checksums a copy writes, and where", () => {
    const written = (algorithm: string) => field("copy", copyOf(["/a"], { checksums: { algorithm, output: "/sums" } }))
    assert.include(written("blake3")[1], `--conflict skip --checksums "/sums" --algo blake3`)
    assert.include(written("sha256")[1], `--conflict skip --checksums "/sums" --algo sha256`)
  })

  it("says what is hashed, and how", () => {
    const hashed = (algorithm: string) => field("hash", { sources: ["/a"], algorithm, leaveOut: [] })
    assert.deepStrictEqual(hashed("sha1"), ["hashes", `"/a", with sha1`])
    assert.deepStrictEqual(hashed("sampled"), ["hashes", `"/a", by samples`])
    const payload = { sources: ["/a"], algorithm: "sha1", leaveOut: [], rules: ["*.o"] }
    assert.deepStrictEqual(field("hash", payload)[1], `"/a", with sha1, filtered by 1 rule`)
  })

  it("says whose metadata is read", () => {
    const read = (how: { readonly raw?: true }) => field("metadata", { sources: ["/a", "/b"], leaveOut: [], ...how })
    assert.deepStrictEqual(read({}), ["reads", `metadata of "/a", "/b"`])
    assert.deepStrictEqual(read({ raw: true }), ["reads", `metadata of "/a", "/b", with all tags`])
  })

  it("says what is checked, and where names begin", () => {
    const none = { _tag: "None" }
    const payload = { file: "/sums", edition: "1 2 3", folder: "/in", algorithm: none, likely: none }
    assert.deepStrictEqual(field("hash-check", payload), ["checks", `what "/sums" names, in "/in"`])
  })

  it("says what is compared, and what is let pass", () => {
    const payload = { a: "/a", b: "/b", ignore: ["mode", "times"], leaveOut: [] }
    assert.deepStrictEqual(field("verify", payload), [
      "compares",
      `"/a" (A) with "/b" (B) --ignore mode --ignore times`
    ])
    assert.include(field("verify", { ...payload, rules: ["*.o"] })[1], "times, filtered by 1 rule")
  })

  it("says what is deleted, and how", () => {
    const deleted = (
      options: { readonly trash?: boolean; readonly oneFileSystem?: boolean; readonly rules?: [string] }
    ) =>
      field("delete", {
        request: { paths: ["/a"], trash: false, oneFileSystem: true, ...options },
        roots: [{ path: "/a", kind: "folder", identity: "1:2:3", parent: "1:1:0" }],
        leaveOut: []
      })
    assert.deepStrictEqual(deleted({}), ["deletes", `"/a"`])
    assert.deepStrictEqual(deleted({ rules: ["*.o"] })[1], `"/a", filtered by 1 rule`)
    assert.deepStrictEqual(deleted({ trash: true }), ["deletes", `"/a", to the trash`])
    assert.deepStrictEqual(deleted({ oneFileSystem: false }), ["deletes", `"/a", with what is mounted there`])
  })

  it("leaves nothing in a name that a terminal would obey", () => {
    assert.include(field("copy", copyOf(["/\u001b[31m\n\udcff\\"]))[1], `"/\\x1b[31m\\n\\xff\\\\" to`)
  })

  it("shows the payload of what it doesn't know", () => {
    assert.deepStrictEqual(field("other", { a: "\u001b\u0085\u202e" }), ["payload", `{"a":"\\u001b\\u0085\\u202e"}`])
    assert.strictEqual(field("copy", { of: "tomorrow" })[0], "payload")
  })
})
