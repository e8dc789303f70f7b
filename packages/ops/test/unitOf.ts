import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import type { Unit } from "../src/internal/steps/unit.ts"

/** A unit of names of a folder, which are copied to another: of files, for the first time, if not told else. */
export const unitOf = (
  { draft = ".fanout-draft", names, source, target, ...more }:
    & { readonly source: string; readonly target: string; readonly names: ReadonlyArray<string> }
    & { readonly draft?: string }
    & Partial<Omit<Unit, "draft" | "names" | "source" | "target">>
): Unit => ({
  source: FilePath.make(source),
  target: FilePath.make(target),
  names: names.map((name) => FilePath.make(name)),
  areFolders: false,
  size: names.length,
  sizes: [],
  draft: FilePath.make(draft),
  conflict: "changed",
  isAgain: false,
  isFree: false,
  keeps: CopyOptions.usual,
  avoid: [],
  rules: [],
  below: FilePath.empty,
  isFollowing: false,
  isMove: false,
  waits: false,
  isVerified: false,
  mostBytes: 2 ** 30,
  ...more
})
