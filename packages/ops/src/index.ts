/**
 * @since 0.1.0
 */
export * as Calls from "./Calls.ts"

/**
 * @since 0.1.0
 */
export * as ChecksumLine from "./ChecksumLine.ts"

/**
 * @since 0.1.0
 */
export * as Copy from "./Copy.ts"

/**
 * @since 0.1.0
 */
export * as CopyChecksum from "./CopyChecksum.ts"

/**
 * @since 0.1.0
 */
export * as CopyOptions from "./CopyOptions.ts"

/**
 * @since 0.1.0
 */
export * as CopyPreview from "./CopyPreview.ts"

/**
 * @since 0.1.0
 */
export * as Delete from "./Delete.ts"

/**
 * @since 0.1.0
 */
export * as DeleteError from "./DeleteError.ts"

/**
 * @since 0.1.0
 */
export * as DeletePreview from "./DeletePreview.ts"

/**
 * @since 0.1.0
 */

/**
 * @since 0.1.0
 */
export * as Difference from "./Difference.ts"

/**
 * @since 0.1.0
 */
export * as FileJobs from "./FileJobs.ts"

/**
 * @since 0.1.0
 */
export * as FilePath from "./FilePath.ts"

/**
 * @since 0.1.0
 */
export * as FileThread from "./FileThread.ts"

/**
 * @since 0.1.0
 */
export * as Files from "./Files.ts"

/**
 * @since 0.1.0
 */
export * as FilesError from "./FilesError.ts"

/**
 * @since 0.1.0
 */
export * as Filter from "./Filter.ts"

/**
 * @since 0.1.0
 */
export * as FolderListing from "./FolderListing.ts"

/**
 * @since 0.1.0
 */
export * as HardLinks from "./HardLinks.ts"

/**
 * @since 0.1.0
 */
export * as Hash from "./Hash.ts"

/**
 * @since 0.1.0
 */
export * as HashAlgorithm from "./HashAlgorithm.ts"

/**
 * @since 0.1.0
 */
export * as HashCheck from "./HashCheck.ts"

/**
 * @since 0.1.0
 */
export * as Media from "./Media.ts"

/**
 * @since 0.1.0
 */
export * as MediaRecord from "./MediaRecord.ts"

/**
 * @since 0.1.0
 */
export * as MediaTask from "./MediaTask.ts"

/**
 * @since 0.1.0
 */
export * as MediaTaskLive from "./MediaTaskLive.ts"

/**
 * @since 0.1.0
 */
export * as Move from "./Move.ts"

/**
 * @since 0.1.0
 */
export * as ObjectStore from "./ObjectStore.ts"

/**
 * @since 0.1.0
 */
export * as OutputFile from "./OutputFile.ts"

/**
 * @since 0.1.0
 */
export * as ProgressUnits from "./ProgressUnits.ts"

/**
 * @since 0.1.0
 */
export * as SkipReason from "./SkipReason.ts"

/**
 * @since 0.1.0
 */
export * as SourceRows from "./SourceRows.ts"

/**
 * @since 0.1.0
 */
export * as SystemFiles from "./SystemFiles.ts"

/**
 * @since 0.1.0
 */
export * as Thumbnail from "./Thumbnail.ts"

/**
 * @since 0.1.0
 */
export * as ThumbnailTask from "./ThumbnailTask.ts"

/**
 * @since 0.1.0
 */
export * as ThumbnailTaskLive from "./ThumbnailTaskLive.ts"

/**
 * @since 0.1.0
 */
export * as ThumbnailVariant from "./ThumbnailVariant.ts"

/**
 * @since 0.1.0
 */
export * as Trash from "./Trash.ts"

/**
 * @since 0.1.0
 */
export * as Verify from "./Verify.ts"
