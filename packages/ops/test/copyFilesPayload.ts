import type * as Task from "@fanout/core/Task"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import type { CopyFiles } from "@fanout/ops/CopyTask"
import * as FilePath from "@fanout/ops/FilePath"

type Payload = Task.Payload<typeof CopyFiles>

/** Payload for names of a folder, which are copied to another: of files, for the first time, if not told else. */
export const copyFilesPayload = (
  { names, source, target, ...more }:
    & { readonly source: string; readonly target: string; readonly names: ReadonlyArray<string> }
    & Partial<Omit<Payload, "names" | "source" | "target">>
): Payload => ({
  source: FilePath.make(source),
  target: FilePath.make(target),
  names: names.map((name) => FilePath.make(name)),
  areFolders: false,
  size: names.length,
  sizes: [],
  conflict: "changed",
  isAgain: false,
  isFree: true,
  keeps: CopyOptions.usual,
  avoid: [],
  rules: [],
  below: FilePath.empty,
  mostBytes: 2 ** 30,
  ...more
})
