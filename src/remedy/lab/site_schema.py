"""The definitions of the lab's site database: accounts, tables, and everything else a schema can hold.

Decides SQL texts only, one statement each, for any name of the schema. Leaves to others: rows (database.py), sending.

It is the database of a small public office with a shop, grown over years: Chinese names and emoji, an old table in
another character set, foreign keys in a circle, a table without a primary key, generated columns, bodies that name
their own schema, definers that are not root. Triggers do nothing while `@bulk` is set, so that filling is quick.
Events are on and change nothing within any rehearsal.
"""

from __future__ import annotations

from typing import Final

__all__ = ["accounts", "objects", "rights", "tables"]

_ACCOUNTS: Final = (
    "CREATE USER IF NOT EXISTS 'site_owner'@'localhost' ACCOUNT LOCK",
    "CREATE USER IF NOT EXISTS 'report'@'198.18.2.%' ACCOUNT LOCK",
)

_RIGHTS: Final = (
    "GRANT ALL PRIVILEGES ON `{schema}`.* TO 'site_owner'@'localhost'",
    "GRANT SELECT ON `{schema}`.`orders` TO 'report'@'198.18.2.%'",
    "GRANT SELECT ON `{schema}`.`customer_spend` TO 'report'@'198.18.2.%'",
    "GRANT SELECT (`id`, `name`, `region`) ON `{schema}`.`customer` TO 'report'@'198.18.2.%'",
)

_TABLES: Final = (
    """CREATE TABLE `department` (
  `id` smallint unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(80) NOT NULL,
  `parent` smallint unsigned DEFAULT NULL,
  `head` int unsigned DEFAULT NULL COMMENT '负责人',
  `phone` varchar(20) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`),
  KEY `parent` (`parent`),
  KEY `head` (`head`),
  CONSTRAINT `department_parent` FOREIGN KEY (`parent`) REFERENCES `department` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='部门'""",
    """CREATE TABLE `employee` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `department` smallint unsigned NOT NULL,
  `name` varchar(60) NOT NULL,
  `badge` char(8) CHARACTER SET ascii NOT NULL,
  `email` varchar(120) DEFAULT NULL,
  `hired` date NOT NULL,
  `salary` decimal(10,2) NOT NULL DEFAULT 0.00,
  `card` varbinary(32) DEFAULT NULL,
  `domain` varchar(80) GENERATED ALWAYS AS (substring_index(`email`,'@',-1)) VIRTUAL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `badge` (`badge`),
  KEY `domain` (`domain`),
  CONSTRAINT `employee_department` FOREIGN KEY (`department`) REFERENCES `department` (`id`) ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """ALTER TABLE `department`
  ADD CONSTRAINT `department_head` FOREIGN KEY (`head`) REFERENCES `employee` (`id`) ON DELETE SET NULL""",
    """CREATE TABLE `notice` (
  `number` int NOT NULL,
  `title` varchar(200) NOT NULL,
  `issued` date DEFAULT NULL,
  `body` text DEFAULT NULL,
  `author` int unsigned DEFAULT NULL,
  `level` enum('普通','重要','紧急') NOT NULL DEFAULT '普通',
  `shown` set('首页','栏目','手机') NOT NULL DEFAULT '首页',
  `pinned` bit(1) NOT NULL DEFAULT b'0',
  PRIMARY KEY (`number`),
  FULLTEXT KEY `words` (`title`),
  CONSTRAINT `notice_author` FOREIGN KEY (`author`) REFERENCES `employee` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `customer` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `name` varchar(60) NOT NULL,
  `nick` varchar(60) DEFAULT NULL,
  `phone` varchar(20) CHARACTER SET ascii NOT NULL,
  `region` char(6) CHARACTER SET ascii NOT NULL,
  `born` date DEFAULT NULL,
  `balance` decimal(12,2) NOT NULL DEFAULT 0.00,
  `likes` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`likes`)),
  `address` inet6 DEFAULT NULL,
  `token` uuid DEFAULT NULL,
  `joined` timestamp NOT NULL DEFAULT current_timestamp(),
  PRIMARY KEY (`id`),
  UNIQUE KEY `phone` (`phone`),
  KEY `region` (`region`,`joined`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `product` (
  `sku` varchar(24) NOT NULL,
  `name` varchar(120) NOT NULL,
  `price` decimal(10,2) NOT NULL,
  `taxed` decimal(12,2) GENERATED ALWAYS AS (round(`price` * 1.13,2)) STORED,
  `weight` float DEFAULT NULL,
  `stock` int NOT NULL DEFAULT 0,
  `since` year DEFAULT NULL,
  `photo` mediumblob DEFAULT NULL,
  PRIMARY KEY (`sku`),
  CONSTRAINT `never_negative` CHECK (`stock` >= 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `customer` int unsigned NOT NULL,
  `placed` datetime(6) NOT NULL,
  `status` enum('待付款','已付款','已发货','已完成','已取消') NOT NULL DEFAULT '待付款',
  `total` decimal(14,2) NOT NULL DEFAULT 0.00,
  `ticket` bigint DEFAULT NULL,
  `remark` varchar(500) DEFAULT NULL,
  `year` smallint GENERATED ALWAYS AS (year(`placed`)) VIRTUAL,
  PRIMARY KEY (`id`),
  KEY `customer` (`customer`),
  KEY `year` (`year`,`status`),
  CONSTRAINT `orders_customer` FOREIGN KEY (`customer`) REFERENCES `customer` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `order_line` (
  `order_id` bigint unsigned NOT NULL,
  `line` smallint unsigned NOT NULL,
  `sku` varchar(24) NOT NULL,
  `quantity` int NOT NULL,
  `price` decimal(10,2) NOT NULL,
  `amount` decimal(14,2) GENERATED ALWAYS AS (`quantity` * `price`) STORED,
  PRIMARY KEY (`order_id`,`line`),
  KEY `sku` (`sku`),
  CONSTRAINT `line_order` FOREIGN KEY (`order_id`) REFERENCES `orders` (`id`) ON DELETE CASCADE,
  CONSTRAINT `line_product` FOREIGN KEY (`sku`) REFERENCES `product` (`sku`) ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `article` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `section` varchar(40) NOT NULL,
  `title` varchar(160) NOT NULL,
  `summary` varchar(400) DEFAULT NULL,
  `body` mediumtext NOT NULL,
  `published` datetime(3) DEFAULT NULL,
  `views` int unsigned NOT NULL DEFAULT 0,
  `score` double DEFAULT NULL,
  `length` int unsigned GENERATED ALWAYS AS (char_length(`body`)) STORED,
  PRIMARY KEY (`id`),
  KEY `section` (`section`,`published`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `attachment` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `article` bigint unsigned DEFAULT NULL,
  `name` varchar(200) NOT NULL,
  `media` varchar(80) CHARACTER SET ascii NOT NULL,
  `content` longblob NOT NULL,
  `size` int unsigned GENERATED ALWAYS AS (octet_length(`content`)) VIRTUAL,
  PRIMARY KEY (`id`),
  KEY `article` (`article`),
  CONSTRAINT `attachment_article` FOREIGN KEY (`article`) REFERENCES `article` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `visit` (
  `at` datetime NOT NULL,
  `path` varchar(255) NOT NULL,
  `agent` varchar(255) DEFAULT NULL,
  `address` varbinary(16) DEFAULT NULL,
  `status` smallint NOT NULL,
  `took` time(3) DEFAULT NULL,
  `bytes` int unsigned DEFAULT NULL,
  KEY `at` (`at`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='no primary key'""",
    """CREATE TABLE `setting` (
  `name` varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  `value` text DEFAULT NULL,
  PRIMARY KEY (`name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `audit` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `at` timestamp(6) NOT NULL DEFAULT current_timestamp(6),
  `who` varchar(140) NOT NULL,
  `what` varchar(200) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `receipt` (
  `till` int unsigned NOT NULL,
  `number` bigint unsigned NOT NULL,
  `paid` datetime(6) NOT NULL DEFAULT current_timestamp(6),
  `amount` decimal(10,2) NOT NULL,
  `note` varchar(120) DEFAULT NULL,
  PRIMARY KEY (`till`,`number`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4""",
    """CREATE TABLE `legacy_news` (
  `id` int NOT NULL AUTO_INCREMENT,
  `title` varchar(100) DEFAULT NULL,
  `text` text DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=gbk""",
    "CREATE SEQUENCE `ticket` START WITH 100000 MINVALUE 1 MAXVALUE 9223372036854775806 INCREMENT BY 1 CACHE 100",
)

_OBJECTS: Final = (
    """CREATE DEFINER=`site_owner`@`localhost` SQL SECURITY DEFINER VIEW `notice_public` AS
SELECT `number`, `title`, `issued`, `level` FROM `notice` WHERE `issued` IS NOT NULL""",
    """CREATE DEFINER=`site_owner`@`localhost` SQL SECURITY INVOKER VIEW `customer_spend` AS
SELECT `customer`.`id`, `customer`.`name`, count(0) AS `orders`, sum(`orders`.`total`) AS `spent`
FROM `{schema}`.`customer` JOIN `{schema}`.`orders` ON `orders`.`customer` = `customer`.`id`
GROUP BY `customer`.`id`""",
    """CREATE DEFINER=`root`@`localhost` VIEW `best_customer` AS
SELECT `name`, `spent` FROM `customer_spend` WHERE `spent` > 1000 ORDER BY `spent` DESC""",
    """CREATE DEFINER=`root`@`localhost` VIEW `open_order` AS
SELECT `id`, `customer`, `placed`, `status`, `total` FROM `orders` WHERE `status` IN ('待付款','已付款')
WITH CASCADED CHECK OPTION""",
    """CREATE DEFINER=`site_owner`@`localhost` FUNCTION `mask_phone`(`given` varchar(20)) RETURNS varchar(20)
    DETERMINISTIC
    COMMENT '隐藏号码中段'
RETURN concat(left(`given`, 3), '****', right(`given`, 4))""",
    """CREATE DEFINER=`root`@`localhost` FUNCTION `spent`(`who` int unsigned) RETURNS decimal(14,2)
    READS SQL DATA
BEGIN
  DECLARE `answer` decimal(14,2);
  -- the schema is named on purpose: a copy under another name would still ask this one
  SELECT sum(`total`) INTO `answer` FROM `{schema}`.`orders` WHERE `customer` = `who`;
  RETURN coalesce(`answer`, 0);
END""",
    """CREATE DEFINER=`site_owner`@`localhost` PROCEDURE `place_order`(IN `who` int unsigned, IN `what` varchar(24),
    IN `many` int, OUT `made` bigint unsigned)
    MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
  START TRANSACTION;
  INSERT INTO `orders` (`customer`, `placed`, `remark`) VALUES (`who`, now(6), '网上下单; "自提"');
  SET `made` = last_insert_id();
  INSERT INTO `order_line` (`order_id`, `line`, `sku`, `quantity`, `price`)
    SELECT `made`, 1, `sku`, `many`, `price` FROM `product` WHERE `sku` = `what`;
  UPDATE `product` SET `stock` = `stock` - `many` WHERE `sku` = `what`;
  COMMIT;
END""",
    """CREATE DEFINER=`root`@`localhost` PROCEDURE `forget_visits`(IN `older` int)
    SQL SECURITY INVOKER
BEGIN
  /* weekly; called by the event of the same purpose */
  DELETE FROM `{schema}`.`visit` WHERE `at` < now() - INTERVAL `older` DAY;
END""",
    """CREATE DEFINER=`site_owner`@`localhost` TRIGGER `orders_ticket` BEFORE INSERT ON `orders` FOR EACH ROW
IF @bulk IS NULL AND NEW.`ticket` IS NULL THEN SET NEW.`ticket` = NEXT VALUE FOR `{schema}`.`ticket`; END IF""",
    """CREATE DEFINER=`site_owner`@`localhost` TRIGGER `line_added` AFTER INSERT ON `order_line` FOR EACH ROW
IF @bulk IS NULL THEN UPDATE `orders` SET `total` = `total` + NEW.`quantity` * NEW.`price`
  WHERE `id` = NEW.`order_id`; END IF""",
    """CREATE DEFINER=`root`@`localhost` TRIGGER `product_watch` AFTER UPDATE ON `product` FOR EACH ROW
BEGIN
  IF @bulk IS NULL AND NEW.`price` <> OLD.`price` THEN
    INSERT INTO `audit` (`who`, `what`) VALUES (user(), concat(OLD.`sku`, ': ', OLD.`price`, ' → ', NEW.`price`));
  END IF;
END""",
    """CREATE DEFINER=`root`@`localhost` TRIGGER `notice_watch` BEFORE UPDATE ON `notice` FOR EACH ROW
BEGIN
  IF @bulk IS NULL THEN INSERT INTO `audit` (`who`, `what`) VALUES (user(), concat('notice ', OLD.`number`)); END IF;
END""",
    """CREATE DEFINER=`root`@`localhost` EVENT `weekly_cleaning` ON SCHEDULE EVERY 1 WEEK
STARTS '2024-01-07 03:30:00' ON COMPLETION PRESERVE ENABLE COMMENT '清理访问记录' DO
CALL `{schema}`.`forget_visits`(7300)""",
    """CREATE DEFINER=`site_owner`@`localhost` EVENT `close_stale_orders` ON SCHEDULE EVERY 1 DAY
STARTS '2024-01-01 04:15:00' ON COMPLETION NOT PRESERVE DISABLE DO
BEGIN
  UPDATE `orders` SET `status` = '已取消' WHERE `status` = '待付款' AND `placed` < now() - INTERVAL 20 YEAR;
END""",
)

_PACKAGE: Final = (
    """CREATE DEFINER=`root`@`localhost` PACKAGE `calendar` AS
  FUNCTION `weekdays`(first_day DATE, last_day DATE) RETURN INT;
END""",
    """CREATE DEFINER=`root`@`localhost` PACKAGE BODY `calendar` AS
  FUNCTION `weekdays`(first_day DATE, last_day DATE) RETURN INT IS
    found INT := 0;
    looked_at DATE := first_day;
  BEGIN
    WHILE looked_at <= last_day LOOP
      IF weekday(looked_at) < 5 THEN found := found + 1; END IF;
      looked_at := looked_at + INTERVAL 1 DAY;
    END LOOP;
    RETURN found;
  END;
END""",
)


def accounts() -> tuple[str, ...]:
    """Statements that make the accounts the definitions name. Nobody can log in with them: they are locked."""
    return _ACCOUNTS


def rights(schema: str) -> tuple[str, ...]:
    """Statements that give the accounts their rights, those on single tables too; for after `tables` and `objects`."""
    return tuple(_of(text, schema) for text in _RIGHTS)


def tables(schema: str) -> tuple[str, ...]:
    """Statements that make tables and the sequence in the client's current database, which is `schema`."""
    return tuple(_of(text, schema) for text in _TABLES)


def objects(schema: str) -> tuple[str, ...]:
    """Statements that make views, functions, procedures, triggers, events and a package; to be sent one by one."""
    return (
        *(_of(text, schema) for text in _OBJECTS),
        "SET @mode = @@sql_mode, sql_mode = 'ORACLE'",
        *_PACKAGE,
        "SET sql_mode = @mode",
    )


def _of(text: str, schema: str) -> str:
    return text.replace("{schema}", schema.replace("`", "``"))
