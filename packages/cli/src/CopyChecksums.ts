/**
 * What `--checksums` needs once lines are written, in one module that is loaded only then.
 */
export * as ChecksumLine from "@fanout/ops/ChecksumLine"
export * as CopyChecksum from "@fanout/ops/CopyChecksum"
