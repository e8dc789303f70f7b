import { assert, describe, it } from "@effect/vitest"
import type * as Conflict from "@fanout/ops/Conflict"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import { Copying } from "../src/internal/copying.ts"
import { copyFilesPayload } from "./copyFilesPayload.ts"

const statOf = (stat: Partial<Files.FileStat>): Files.FileStat => ({
  kind: "file",
  device: 1n,
  inode: 1n,
  links: 1,
  mode: 0o644,
  owner: 0,
  group: 0,
  sizeBytes: 4,
  allocatedBytes: 4096,
  accessedNanos: 0n,
  modifiedNanos: 5_000n,
  changedNanos: 0n,
  bornNanos: 0n,
  ...stat
})

const name = FilePath.make("a")
const isProtected = { device: 7n, inode: 7n }
const usual = CopyOptions.CopyOptions.defaultValue()

/** What a copy is called that takes the place of something. */
const replacing = (
  conflict: Conflict.Mode,
  there: Partial<Files.FileStat>,
  { isAside = true, options = {}, source = {} }: {
    readonly isAside?: boolean
    readonly options?: Partial<CopyOptions.CopyOptions>
    readonly source?: Partial<Files.FileStat>
  } = {}
) => {
  const copying = new Copying({
    payload: copyFilesPayload({
      source: "/folder",
      target: "/folder",
      names: [name],
      conflict,
      isFree: false,
      avoid: [isProtected]
    }),
    names: [name],
    options: { ...usual, ...options },
    limit: 1,
    mayWork: () => true,
    isOwn: false,
    ...isAside ? { temporaryName: (name) => FilePath.make(`${name} aside`) } : {}
  })
  assert.isTrue(copying.begin(statOf({ inode: 2n, ...source })))
  return copying.found(statOf(there))
}

describe("what a copy may take the place of", () => {
  const different = { sizeBytes: 5 }

  it("is a file, in modes that replace", () => {
    assert.strictEqual(replacing("changed", different), "a aside")
    assert.strictEqual(replacing("overwrite", {}), "a aside")
    assert.isUndefined(replacing("changed", {}))
    for (const mode of ["skip", "rename", "error"] as const) assert.isUndefined(replacing(mode, different))
    for (const kind of ["folder", "link", "special"] as const) assert.isUndefined(replacing("overwrite", { kind }))
    assert.isUndefined(replacing("overwrite", {}, { source: { kind: "link" } }))
  })

  it("is none that belongs to the database of the job", () => {
    assert.isUndefined(replacing("overwrite", isProtected))
  })

  it("is none where more is to be done with the copy, or with folders", () => {
    assert.isUndefined(replacing("overwrite", {}, { options: { isDurable: true } }))
    assert.isUndefined(replacing("overwrite", {}, { options: { isVerified: true } }))
    assert.isUndefined(replacing("overwrite", {}, { isAside: false }))
  })
})
